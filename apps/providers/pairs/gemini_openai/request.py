# SPDX-License-Identifier: Apache-2.0
"""The fields of a generateContent request beside contents and tools, as a chat completion's."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects.gemini_parts import camel, objects, system_texts, word
from apps.providers.dialects.gemini_schema import closed, strict_ready, to_json_schema
from apps.providers.dialects.gemini_thinking import effort_of
from apps.providers.pairs.gemini_openai.contents import History
from apps.providers.pairs.gemini_openai.tools import function_tools, tool_choice
from apps.providers.pairs.pair import Ask, InvalidError, Object

# Fields that carry nothing for the answer of this one request.
LET_GO = (
    ("model", "it is part of the address"),
    ("labels", "labels for Google's bills"),
    ("store", "asks for Google's own log"),
    ("generationConfig.thinkingConfig.includeThoughts", "thoughts are told wherever the provider tells them"),
    ("safetySettings with BLOCK_NONE or OFF", "there is no filter to be switched off"),
)
_LET_GO = frozenset({"model", "labels", "store"})

_NUMBERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_COUNTS = {"candidateCount": "n", "maxOutputTokens": "max_completion_tokens", "seed": "seed"}
_REFUSED = {
    "topK": "has no counterpart in OpenAI's API",
    "speechConfig": "asks for speech, which a chat completion does not give",
    "imageConfig": "asks for pictures, which a chat completion does not give",
    "cachedContent": "names a prompt that only Google holds",
}
_TIERS = {"STANDARD": "default", "FLEX": "flex", "PRIORITY": "priority"}
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
_NO_FILTER = frozenset({"BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"})
_MOST_STOPS = 4
_PLAIN, _JSON = "text/plain", "application/json"


def translate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The chat completion request for a generateContent request."""
    given = camel(fields, "")
    config = camel(given.get("generationConfig", {}), "generationConfig")
    history = History(ask, _detail(config, ask))
    if "systemInstruction" in given:
        history.system(system_texts(given["systemInstruction"]))
    history.read(given.get("contents"))
    body: Object = {"model": ask.upstream_model, "messages": history.messages}
    if ask.stream:
        body["stream"] = True
    tools = function_tools(given.get("tools"), ask)
    if tools:
        body["tools"] = tools
    choice = tool_choice(given.get("toolConfig"), tools, ask)
    if choice is not None:
        body["tool_choice"] = choice
    for name, value in config.items():
        _config_field(body, name, value, ask)
    if "top_logprobs" in body and "logprobs" not in body:
        raise InvalidError("generationConfig.logprobs", "needs `responseLogprobs` to be true")
    _format(body, config, ask)
    for name, value in given.items():
        if name == "safetySettings":
            _safety(value, ask)
        elif name == "serviceTier":
            _tier(body, value, ask)
        elif name not in _LET_GO and name not in _ELSEWHERE:
            ask.cannot(name, _REFUSED.get(name, "is not a field that an OpenAI model can be told"))
    return body


_ELSEWHERE = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})


def _config_field(body: Object, name: str, value: Any, ask: Ask) -> None:
    path = f"generationConfig.{name}"
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidError(path, "must be a number")
        body[_NUMBERS[name]] = value
    elif name in _COUNTS:
        body[_COUNTS[name]] = _whole(path, value)
    elif name in _SPECIAL:
        _SPECIAL[name](body, value, path, ask)
    elif name not in _CONFIG_ELSEWHERE:
        ask.cannot(path, _REFUSED.get(name, "is not a field that an OpenAI model can be told"))


def _whole(path: str, value: Any) -> int:
    """A whole number in the forms that Google's JSON has for it."""
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise InvalidError(path, "must be a whole number")
    return value


def _stops(body: Object, value: Any, path: str, ask: Ask) -> None:
    if not isinstance(value, list) or not all(isinstance(stop, str) for stop in value):
        raise InvalidError(path, "must be a list of texts")
    if len(value) > _MOST_STOPS:
        ask.cannot(path, f"can hold at most {_MOST_STOPS} texts for an OpenAI model")
    elif value:
        body["stop"] = value


def _logprobs(body: Object, value: Any, path: str, ask: Ask) -> None:
    if not isinstance(value, bool):
        raise InvalidError(path, "must be true or false")
    if value:
        body["logprobs"] = True


def _top_logprobs(body: Object, value: Any, path: str, ask: Ask) -> None:
    body["top_logprobs"] = _whole(path, value)


def _modalities(body: Object, value: Any, path: str, ask: Ask) -> None:
    words = {str(word).upper() for word in value} if isinstance(value, list) else {str(value).upper()}
    if words - {"TEXT", "MODALITY_UNSPECIFIED"}:
        ask.cannot(path, "can only be TEXT for an OpenAI chat model")


def _thinking(body: Object, value: Any, path: str, ask: Ask) -> None:
    config = camel(value, path)
    for name in config.keys() - {"thinkingLevel", "thinkingBudget", "includeThoughts"}:
        ask.cannot(f"{path}.{name}", "is not a field that an OpenAI model can be told")
    try:
        effort = effort_of(config)
    except ValueError as fault:
        field = "thinkingLevel" if config.get("thinkingLevel") else "thinkingBudget"
        raise InvalidError(f"{path}.{field}", str(fault)) from None
    if effort:
        body["reasoning_effort"] = effort


def _off(body: Object, value: Any, path: str, ask: Ask) -> None:
    if value is not False:
        ask.cannot(path, "is not a field that an OpenAI model can be told")


_SPECIAL: dict[str, Callable[[Object, Any, str, Ask], None]] = {
    "stopSequences": _stops,
    "responseLogprobs": _logprobs,
    "logprobs": _top_logprobs,
    "responseModalities": _modalities,
    "thinkingConfig": _thinking,
    "audioTimestamp": _off,
    "enableEnhancedCivicAnswers": _off,
    "enableAffectiveDialog": _off,
}
_CONFIG_ELSEWHERE = frozenset({"responseMimeType", "responseSchema", "responseJsonSchema", "mediaResolution"})


def _detail(config: Mapping[str, Any], ask: Ask) -> str:
    value = config.get("mediaResolution")
    if value in (None, "MEDIA_RESOLUTION_UNSPECIFIED"):
        return ""
    if word(value) not in _DETAILS:
        ask.cannot("generationConfig.mediaResolution", "can only be low or high for an OpenAI model")
    return _DETAILS.get(word(value), "")


def _format(body: Object, config: Mapping[str, Any], ask: Ask) -> None:
    mime = config.get("responseMimeType", _PLAIN)
    name = next((name for name in ("responseSchema", "responseJsonSchema") if name in config), None)
    if mime not in (_PLAIN, _JSON):
        ask.cannot(
            "generationConfig.responseMimeType", f"can only be {_PLAIN} or {_JSON} for an OpenAI model"
        )
        return
    if mime == _PLAIN:
        if name:
            raise InvalidError(f"generationConfig.{name}", f"needs `responseMimeType` to be {_JSON}")
        return
    if name is None:
        body["response_format"] = {"type": "json_object"}
        return
    path, schema = f"generationConfig.{name}", config[name]
    if not isinstance(schema, dict):
        raise InvalidError(path, "must be an object")
    if name == "responseSchema":
        try:
            schema = to_json_schema(schema)
        except ValueError as fault:
            raise InvalidError(path, str(fault)) from None
    if schema.get("type", "object") != "object":
        ask.cannot(path, "must describe an object at its root for an OpenAI model")
        body["response_format"] = {"type": "json_object"}
        return
    body["response_format"] = {"type": "json_schema", "json_schema": _held_to(schema)}


def _held_to(schema: Object) -> Object:
    """Gemini always keeps to a schema; OpenAI only where it can be `strict`."""
    narrow = closed(schema)
    if strict_ready(narrow):
        return {"name": "response", "schema": narrow, "strict": True}
    return {"name": "response", "schema": schema, "strict": False}


def _safety(value: Any, ask: Ask) -> None:
    for path, setting in objects(value, "safetySettings"):
        if word(setting.get("threshold", "HARM_BLOCK_THRESHOLD_UNSPECIFIED")) not in _NO_FILTER:
            ask.cannot(f"{path}.threshold", "cannot be kept: OpenAI's API has no filter to be set")


def _tier(body: Object, value: Any, ask: Ask) -> None:
    word = str(value).upper()
    if word in _TIERS:
        body["service_tier"] = _TIERS[word]
    elif word not in {"UNSPECIFIED", "SERVICE_TIER_UNSPECIFIED"}:
        ask.cannot("serviceTier", "is not a tier that OpenAI sells")

# SPDX-License-Identifier: Apache-2.0
"""The fields of a chat completion beside its messages and tools, as a generateContent request."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects.gemini_parts import camel, word
from apps.providers.dialects.gemini_thinking import EFFORTS, takes_levels, thinking_of
from apps.providers.pairs.openai_gemini.messages import History
from apps.providers.pairs.openai_gemini.tools import function_tools, tool_config
from apps.providers.pairs.pair import Ask, InvalidError, Object

# Fields that carry nothing for the answer, or only hints to OpenAI's own cache and logs.
LET_GO = (
    ("model", "it is part of the address"),
    ("stream", "it is part of the address"),
    ("stream_options", "the usage is always told; the gateway leaves it out where it was not asked for"),
    ("user", "names the end user to OpenAI"),
    ("safety_identifier", "names the end user to OpenAI"),
    ("metadata", "labels for OpenAI's own store"),
    ("store", "asks for OpenAI's own store"),
    ("prompt_cache_key", "a hint to OpenAI's cache; Gemini finds repeated beginnings by itself"),
    ("prompt_cache_retention", "a hint to OpenAI's cache"),
    ("prompt_cache_options", "a hint to OpenAI's cache"),
)
_LET_GO = frozenset(name for name, _ in LET_GO)

_REFUSED = {
    "logit_bias": "has no counterpart in Gemini's API",
    "prediction": "has no counterpart in Gemini's API",
    "web_search_options": "asks for a tool that OpenAI runs",
    "audio": "asks for speech, which Gemini's chat models do not give",
    "moderation": "asks for a check that OpenAI runs",
    "functions": "is the form before `tools`, which Gemini does not have",
    "function_call": "is the form before `tool_choice`, which Gemini does not have",
}

_NUMBERS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_COUNTS = {
    "n": "candidateCount",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "top_logprobs": "logprobs",
}
_TIERS = {"flex": "flex", "priority": "priority", "default": "standard"}


class Draft:
    """A request while it is written: `config` becomes its generationConfig."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.body: Object = {}
        self.config: Object = {}


def translate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The generateContent request for a chat completion."""
    draft = Draft(ask)
    if fields.get("max_completion_tokens") is not None and fields.get("max_tokens") is not None:
        raise InvalidError("max_tokens", "and `max_completion_tokens` cannot both be given")
    history = History(ask)
    history.read(fields.get("messages"))
    for name, value in fields.items():
        if value is not None and name not in _LET_GO and name not in _ELSEWHERE:
            _field(draft, name, value)
    if "logprobs" in draft.config and "responseLogprobs" not in draft.config:
        raise InvalidError("top_logprobs", "needs `logprobs` to be true")
    _tools(draft, fields)
    extra = fields.get("extra_body")
    told = _extra(draft, extra) if extra is not None else None
    _thinking(draft, fields.get("reasoning_effort"), told)
    if history.system:
        draft.body["systemInstruction"] = {"parts": [{"text": text} for text in history.system]}
    if resolution := history.resolution():
        draft.config["mediaResolution"] = resolution
    body: Object = {"contents": history.contents, **draft.body}
    if draft.config:
        body["generationConfig"] = draft.config
    return body


_ELSEWHERE = frozenset(
    {"messages", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "extra_body"}
)


def _field(draft: Draft, name: str, value: Any) -> None:
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidError(name, "must be a number")
        draft.config[_NUMBERS[name]] = value
    elif name in _COUNTS:
        draft.config[_COUNTS[name]] = _whole(name, value)
    elif name in _SPECIAL:
        _SPECIAL[name](draft, value)
    elif name not in _REFUSED:
        draft.ask.cannot(name, "is not a field that a Gemini model can be told")
    elif value not in ({}, []) or name == "web_search_options":
        # An empty object of options asks for the search all the same.
        draft.ask.cannot(name, _REFUSED[name])


def _tools(draft: Draft, fields: Mapping[str, Any]) -> None:
    functions, strict = function_tools(fields.get("tools"), draft.ask)
    if functions:
        draft.body["tools"] = [{"functionDeclarations": functions}]
    config = tool_config(fields.get("tool_choice"), draft.ask, named=bool(functions), strict=strict)
    if config:
        draft.body["toolConfig"] = {"functionCallingConfig": config}
    parallel = fields.get("parallel_tool_calls")
    if parallel not in (None, True, False):
        raise InvalidError("parallel_tool_calls", "must be true or false")
    if parallel is False and functions:
        draft.ask.cannot("parallel_tool_calls", "cannot be switched off for a Gemini model")


def _whole(name: str, value: Any) -> int:
    if type(value) is not int:
        raise InvalidError(name, "must be a whole number")
    return value


def _seed(draft: Draft, value: Any) -> None:
    if -(2**31) <= _whole("seed", value) < 2**31:
        draft.config["seed"] = value
    else:
        draft.ask.cannot("seed", "must fit into 32 bits for a Gemini model")


def _logprobs(draft: Draft, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidError("logprobs", "must be true or false")
    if value:
        draft.config["responseLogprobs"] = True


def _stop(draft: Draft, value: Any) -> None:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise InvalidError("stop", "must be a text or a list of texts")
    if stops:
        draft.config["stopSequences"] = stops


def _thinking(draft: Draft, effort: Any, told: Any) -> None:
    """The thinkingConfig from OpenAI's word of effort and from Google's own form, which goes before."""
    path, model = "extra_body.google.thinking_config", draft.ask.upstream_model
    config = dict(camel(told, path)) if told is not None else {}
    if "thinkingLevel" in config and not takes_levels(model):
        draft.ask.cannot(f"{path}.thinking_level", "needs a model of Gemini 3 or later")
        del config["thinkingLevel"]
    if effort is not None:
        if word(effort) not in EFFORTS:
            raise InvalidError("reasoning_effort", f"must be one of {', '.join(sorted(EFFORTS))}")
        thinking = thinking_of(effort, model)
        if thinking is None:
            draft.ask.cannot("reasoning_effort", "cannot be none: this model does not stop thinking")
        elif config.keys() & {"thinkingLevel", "thinkingBudget"}:
            raise InvalidError("reasoning_effort", f"and `{path}` both say how much to think")
        else:
            config = {**thinking, **config}
    if config:
        draft.config["thinkingConfig"] = config


def _format(draft: Draft, value: Any) -> None:
    kind = word(value.get("type")) if isinstance(value, dict) else ""
    if kind not in {"text", "json_object", "json_schema"}:
        raise InvalidError("response_format.type", "must be text, json_object or json_schema")
    if kind == "text":
        return
    draft.config["responseMimeType"] = "application/json"
    if kind == "json_object":
        return
    given = value.get("json_schema")
    if not isinstance(given, dict) or not isinstance(given.get("schema", {}), dict):
        raise InvalidError("response_format.json_schema", "must be an object with a `schema`")
    schema = {name: part for name, part in given.get("schema", {}).items() if name != "$schema"}
    if given.get("description") and "description" not in schema:
        schema["description"] = given["description"]
    if schema:
        draft.config["responseJsonSchema"] = schema


def _tier(draft: Draft, value: Any) -> None:
    if word(value) in _TIERS:
        draft.body["serviceTier"] = _TIERS[value]
    elif value != "auto":
        draft.ask.cannot("service_tier", "is not a tier that Google sells")


def _modalities(draft: Draft, value: Any) -> None:
    if value != ["text"]:
        draft.ask.cannot("modalities", "can only be text for a Gemini model")


def _verbosity(draft: Draft, value: Any) -> None:
    if value != "medium":
        draft.ask.cannot("verbosity", "has no counterpart in Gemini's API")


def _extra(draft: Draft, value: Any) -> Any:
    """Google's own form for what OpenAI's has no field for; gives the thinking config in it back."""
    google = value.get("google") if isinstance(value, dict) else None
    if not isinstance(google, dict) or len(value) > 1:
        draft.ask.cannot("extra_body", "can only hold an object `google`")
        return None
    given = camel(google, "extra_body.google")
    for name, part in given.items():
        if name in {"cachedContent", "safetySettings"}:
            draft.body[name] = part
        elif name != "thinkingConfig":
            draft.ask.cannot(f"extra_body.google.{name}", "is not a field that Google's own endpoint knows")
    return given.get("thinkingConfig")


_SPECIAL: dict[str, Callable[[Draft, Any], None]] = {
    "seed": _seed,
    "logprobs": _logprobs,
    "stop": _stop,
    "response_format": _format,
    "service_tier": _tier,
    "modalities": _modalities,
    "verbosity": _verbosity,
}

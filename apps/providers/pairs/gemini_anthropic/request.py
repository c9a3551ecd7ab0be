# SPDX-License-Identifier: Apache-2.0
"""The request: what stands beside the contents."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects import anthropic_schema, anthropic_thinking, gemini_schema
from apps.providers.dialects.gemini_parts import camel, objects, system_texts
from apps.providers.pairs.fields import only
from apps.providers.pairs.gemini_anthropic import thinking
from apps.providers.pairs.gemini_anthropic.contents import Contents
from apps.providers.pairs.gemini_anthropic.read import as_number, as_texts, as_whole
from apps.providers.pairs.gemini_anthropic.tools import add_tools
from apps.providers.pairs.pair import Ask, InvalidError, Object

_FIELDS = frozenset(
    {
        "model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings",
        "serviceTier", "labels", "store", "stream",
    }
)  # fmt: skip
_CONFIG = "generationConfig"
_MAPPED = frozenset(
    {
        "temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema",
        "responseJsonSchema", "thinkingConfig",
    }
)  # fmt: skip
# Fields of the configuration that say nothing with these values and cannot be said with others.
_NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "candidateCount": ((1,), "is 1 at Anthropic: it gives one answer per request"),
    "seed": ((), "is not offered by Anthropic: its answers cannot be repeated"),
    "presencePenalty": ((0,), "is not offered by Anthropic"),
    "frequencyPenalty": ((0,), "is not offered by Anthropic"),
    "responseLogprobs": ((False,), "is not offered by Anthropic"),
    "logprobs": ((0,), "is not offered by Anthropic"),
    "responseModalities": ((["TEXT"], ["text"], []), "must be text alone: Anthropic makes nothing else"),
    "mediaResolution": (("MEDIA_RESOLUTION_UNSPECIFIED",), "is not offered by Anthropic"),
    "enableEnhancedCivicAnswers": ((False,), "is not offered by Anthropic"),
    "audioTimestamp": ((False,), "is not offered by Anthropic"),
}
_LENIENT = ("OFF", "BLOCK_NONE", "HARM_BLOCK_THRESHOLD_UNSPECIFIED")
_TIERS = {"standard": "standard_only", "priority": "auto"}
# From this version on temperature and top_p exclude each other.
_ONE_OF_TWO = (4, 1)
_OBJECT_TOOL: Object = {
    "name": blocks.JSON_TOOL,
    "description": "Gives the whole answer as one JSON object, in the form that the conversation asks for.",
    "input_schema": {"type": "object", "additionalProperties": True},
}


def generate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body of a Messages request."""
    given = camel(fields, "")
    config = camel(given.get(_CONFIG, {}), _CONFIG)
    most = ask.output_cap
    if "maxOutputTokens" in config:
        most = as_whole(config["maxOutputTokens"], f"{_CONFIG}.maxOutputTokens", 1)
    body = _body(given, config, most, ask)
    body["max_tokens"] = most
    if ask.stream:
        body["stream"] = True
    _sample(config, body, ask)
    stops = [stop for stop in as_texts(config.get("stopSequences", []), f"{_CONFIG}.stopSequences") if stop]
    if stops:
        body["stop_sequences"] = stops
    _safety(given, ask)
    _tier(given, body, ask)
    return body


def count(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body of count_tokens: of a whole request, or of contents alone."""
    given = camel(fields, "")
    whole = given.get("generateContentRequest")
    if whole is not None:
        only(given, {"generateContentRequest", "model"}, "", ask)
        given = camel(whole, "generateContentRequest")
    config = camel(given.get(_CONFIG, {}), _CONFIG)
    return _body(given, config, ask.output_cap, ask)


def _body(given: Mapping[str, Any], config: Mapping[str, Any], most: int, ask: Ask) -> Object:
    """What both calls take."""
    only(given, _FIELDS, "", ask)
    for name, value in config.items():
        if name not in _MAPPED:
            neutral, reason = _NEUTRAL.get(name, ((), "is nothing that Anthropic can be told"))
            if value not in neutral:
                ask.cannot(f"{_CONFIG}.{name}", reason)
    contents = Contents(ask)
    contents.read(given)
    body: Object = {"model": ask.upstream_model, "messages": contents.turns.messages}
    if "systemInstruction" in given:
        system = [blocks.text(words) for words in system_texts(given["systemInstruction"]) if words]
        if system:
            body["system"] = system
    thinking.add_thinking(body, config, most, ask)
    add_tools(body, given, ask)
    _format(body, config, ask)
    return body


def _sample(config: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """Sampling: Anthropic's temperature ends at 1, thinking allows hardly any, and newest models none."""
    version = anthropic_thinking.version(ask.upstream_model) or (0, 0)
    samples, thinks = anthropic_thinking.samples(ask.upstream_model), thinking.is_on(body)
    for name, said, most in (("temperature", "temperature", 2), ("topP", "top_p", 1)):
        if name not in config:
            continue
        path = f"{_CONFIG}.{name}"
        value = as_number(config[name], path, 0, most)
        if value == 1:
            # What Anthropic does where nothing is said.
            continue
        if not samples:
            ask.cannot(path, "is not taken by this model of Anthropic's")
        elif value > 1:
            ask.cannot(path, "has to be 1 or less at Anthropic")
        elif thinks and (name == "temperature" or value < 0.95):
            ask.cannot(path, "cannot be set while Anthropic thinks")
        elif "temperature" in body and version >= _ONE_OF_TWO:
            ask.cannot(path, "cannot be set together with temperature at Anthropic")
        else:
            body[said] = value
    if "topK" in config:
        path = f"{_CONFIG}.topK"
        value = as_whole(config["topK"], path, 0)
        if not samples:
            ask.cannot(path, "is not taken by this model of Anthropic's")
        elif thinks:
            ask.cannot(path, "cannot be set while Anthropic thinks")
        else:
            body["top_k"] = value


def _format(body: Object, config: Mapping[str, Any], ask: Ask) -> None:
    mime = config.get("responseMimeType", "text/plain")
    name = "responseJsonSchema" if "responseJsonSchema" in config else "responseSchema"
    schema = config.get(name)
    if mime == "text/plain" and schema is None:
        return
    if mime not in ("text/plain", "application/json"):
        ask.cannot(f"{_CONFIG}.responseMimeType", f"is {mime!r}, a form that Anthropic cannot be held to")
    elif schema is not None:
        found = _schema(schema, f"{_CONFIG}.{name}", openapi=name == "responseSchema")
        body["output_config"] = {**body.get("output_config", {}), "format": found}
    elif body.get("tools") or thinking.is_on(body):
        reason = (
            "is JSON without a schema, which Anthropic cannot be asked for together with tools or thinking"
        )
        ask.cannot(f"{_CONFIG}.responseMimeType", reason)
    else:
        body["tools"] = [_OBJECT_TOOL]
        body["tool_choice"] = {"type": "tool", "name": blocks.JSON_TOOL, "disable_parallel_tool_use": True}


def _schema(given: Any, path: str, *, openapi: bool) -> Object:
    if not isinstance(given, dict):
        raise InvalidError(path, "must be an object")
    try:
        schema = gemini_schema.to_json_schema(given) if openapi else given
        return {"type": "json_schema", "schema": anthropic_schema.fitted(schema)}
    except RecursionError:
        raise InvalidError(path, "is nested too deeply") from None
    except ValueError as fault:
        raise InvalidError(path, str(fault)) from None


def _safety(given: Mapping[str, Any], ask: Ask) -> None:
    for path, setting in objects(given.get("safetySettings", []), "safetySettings"):
        if setting.get("threshold", "OFF") not in _LENIENT:
            ask.cannot(f"{path}.threshold", "blocks more than nothing: Anthropic's own rules cannot be set")


def _tier(given: Mapping[str, Any], body: Object, ask: Ask) -> None:
    tier = str(given.get("serviceTier", "unspecified")).lower()
    if tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    elif tier != "unspecified":
        ask.cannot("serviceTier", f"is {tier}, a tier that Anthropic does not have")

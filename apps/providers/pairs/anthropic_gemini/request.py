# SPDX-License-Identifier: Apache-2.0
"""The request: what stands beside the messages."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import gemini_thinking
from apps.providers.dialects.anthropic_request import (
    checked_count,
    checked_list,
    checked_number,
    checked_object,
    checked_text,
    system,
)
from apps.providers.pairs.anthropic_gemini.contents import Contents
from apps.providers.pairs.anthropic_gemini.tools import add_tools
from apps.providers.pairs.fields import only
from apps.providers.pairs.pair import Ask, InvalidError, Object

_FIELDS = frozenset(
    {
        "model", "stream", "messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences",
        "tools", "tool_choice", "thinking", "output_config", "output_format", "service_tier", "speed",
        "metadata", "cache_control", "diagnostics", "context_management",
    }
)  # fmt: skip
_MOST_STOPS = 5
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_LEAST_BUDGET = 1024
# Gemini 2.5 Pro thinks with no fewer tokens.
_LEAST_OF_PRO = 128


def generate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body of generateContent."""
    if fields.get("max_tokens") is None:
        raise InvalidError("max_tokens", "is required")
    return _body(fields, ask)


def count(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body of countTokens: as a whole request, since only that counts tools and the system prompt."""
    name = ask.upstream_model
    model = name if "/" in name else f"models/{name}"
    return {"generateContentRequest": {"model": model, **_body(fields, ask)}}


def _body(fields: Mapping[str, Any], ask: Ask) -> Object:
    only(fields, _FIELDS, "", ask)
    contents = Contents(ask)
    contents.read(fields)
    body: Object = {"contents": contents.contents}
    instruction = [{"text": block["text"]} for block in system(fields) if block["text"]]
    if instruction or contents.instruction:
        body["systemInstruction"] = {"parts": [*instruction, *contents.instruction]}
    add_tools(body, fields, contents.loaded, ask)
    config = {**_sampling(fields, ask), **_format(fields, ask)}
    thinking = _thinking(fields, ask)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    _service(body, fields, ask)
    _context(fields, ask)
    return body


def _sampling(fields: Mapping[str, Any], ask: Ask) -> Object:
    config: Object = {}
    if fields.get("max_tokens") is not None:
        most = checked_count(fields["max_tokens"], "max_tokens", 0)
        if most:
            config["maxOutputTokens"] = most
        else:
            ask.cannot("max_tokens", "is 0: Gemini fills no cache without an answer")
    if fields.get("temperature") is not None:
        config["temperature"] = checked_number(fields["temperature"], "temperature", 0, 1)
    if fields.get("top_p") is not None:
        config["topP"] = checked_number(fields["top_p"], "top_p", 0, 1)
    if fields.get("top_k") is not None:
        config["topK"] = checked_count(fields["top_k"], "top_k", 0)
    if fields.get("stop_sequences"):
        given = checked_list(fields["stop_sequences"], "stop_sequences")
        stops = [checked_text(stop, f"stop_sequences.{number}") for number, stop in enumerate(given)]
        if len(stops) > _MOST_STOPS:
            ask.cannot("stop_sequences", f"has more than the {_MOST_STOPS} texts that Gemini takes")
        config["stopSequences"] = stops[:_MOST_STOPS]
    return config


def _format(fields: Mapping[str, Any], ask: Ask) -> Object:
    output, path = _output(fields).get("format"), "output_config.format"
    if output is None:
        # The form of the beta before.
        output, path = fields.get("output_format"), "output_format"
    if output is None:
        return {}
    kind = checked_object(output, path).get("type")
    if kind != "json_schema":
        raise InvalidError(f"{path}.type", "has to be json_schema")
    only(output, {"type", "schema"}, path, ask)
    schema = checked_object(output.get("schema"), f"{path}.schema")
    if fields.get("tools") and not gemini_thinking.takes_levels(ask.upstream_model):
        ask.cannot(path, "cannot be had together with tools from a Gemini model before Gemini 3")
        return {}
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _output(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    given = fields.get("output_config")
    return {} if given is None else checked_object(given, "output_config")


def _thinking(fields: Mapping[str, Any], ask: Ask) -> Object:
    output = _output(fields)
    only(output, {"effort", "format"}, "output_config", ask)
    effort = output.get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise InvalidError("output_config.effort", "has to be low, medium, high, xhigh or max")
    given = fields.get("thinking")
    thinking = {} if given is None else checked_object(given, "thinking")
    kind = thinking.get("type")
    if kind == "disabled":
        return _least(ask.upstream_model)
    config = _effort(effort, ask) if effort else {}
    config.pop("includeThoughts", None)
    if kind is None and not thinking:
        return config
    if kind == "enabled":
        config = config or _budget(thinking, fields, ask)
    elif kind == "between_tools":
        ask.cannot("thinking.type", "says when to think, which Gemini decides for itself")
        return config
    elif kind != "adaptive":
        raise InvalidError("thinking.type", "has to be enabled, adaptive or disabled")
    only(thinking, {"type", "budget_tokens", "display"}, "thinking", ask)
    return {**config, "includeThoughts": _shown(thinking)}


def _effort(effort: str, ask: Ask) -> Object:
    return dict(gemini_thinking.thinking_of(effort, ask.upstream_model) or {})


def _least(model: str) -> Object:
    """No thinking, or the least there is where a model cannot stop; its thoughts are not shown either way."""
    if gemini_thinking.takes_levels(model):
        return {"thinkingLevel": "LOW"}
    return gemini_thinking.thinking_of("none", model) or {"thinkingBudget": _LEAST_OF_PRO}


def _budget(thinking: Mapping[str, Any], fields: Mapping[str, Any], ask: Ask) -> Object:
    budget = checked_count(thinking.get("budget_tokens"), "thinking.budget_tokens", _LEAST_BUDGET)
    most = fields.get("max_tokens")
    if isinstance(most, int) and most <= budget:
        raise InvalidError("thinking.budget_tokens", "has to be less than max_tokens")
    if not gemini_thinking.takes_levels(ask.upstream_model):
        return {"thinkingBudget": budget}
    effort = gemini_thinking.effort_of({"thinkingBudget": budget})
    return _effort(effort, ask)


def _shown(thinking: Mapping[str, Any]) -> bool:
    display = thinking.get("display")
    if display not in (None, "summarized", "omitted"):
        raise InvalidError("thinking.display", "has to be summarized or omitted")
    return bool(display != "omitted")


def _context(fields: Mapping[str, Any], ask: Ask) -> None:
    """Clearing of old thinking only saves tokens; what changes the conversation cannot be asked for."""
    given = fields.get("context_management")
    edits = None if given is None else checked_object(given, "context_management").get("edits")
    for number, edit in enumerate([] if edits is None else checked_list(edits, "context_management.edits")):
        path = f"context_management.edits.{number}"
        if not str(checked_object(edit, path).get("type")).startswith("clear_thinking"):
            ask.cannot(path, "changes the conversation on its way, which Gemini does not offer")


def _service(body: Object, fields: Mapping[str, Any], ask: Ask) -> None:
    tier = fields.get("service_tier")
    if tier == "standard_only":
        body["serviceTier"] = "standard"
    elif tier not in (None, "auto"):
        raise InvalidError("service_tier", "has to be auto or standard_only")
    speed = fields.get("speed")
    if speed == "fast":
        ask.cannot("speed", "is fast, which Gemini has no mode for")
    elif speed not in (None, "standard"):
        raise InvalidError("speed", "has to be standard or fast")

# SPDX-License-Identifier: Apache-2.0
"""A chat completion request as a Messages request.

System and developer messages, wherever they stand, become the system prompt: only newest models take them between the
turns. `response_format: json_schema` is native; `json_object` becomes one tool that has to be called, whose input the
answer gives as text. A budget of thinking comes from the effort, by the model (see `anthropic_thinking`).
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_schema, anthropic_thinking
from apps.providers.dialects.anthropic_blocks import JSON_TOOL
from apps.providers.pairs.openai_anthropic import messages, tools
from apps.providers.pairs.openai_anthropic.read import as_list, as_number, as_object, as_text, as_whole
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Object

# Fields that change nothing about the answer and have no place at Anthropic.
LET_GO = (
    ("store", "asks OpenAI to keep the answer; nothing is kept there"),
    ("metadata", "labels of a kept answer"),
    ("prompt_cache_key", "a hint about OpenAI's cache"),
    ("prompt_cache_retention", "how long OpenAI may keep its cache at most"),
    ("prediction", "makes OpenAI faster, never different"),
    ("stream_options", "the stream's usage is the translation's own matter"),
)
# Fields that say nothing with these values and cannot be said with others.
_NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "is 1 at Anthropic: it gives one answer per request"),
    "logprobs": ((False,), "is not offered by Anthropic"),
    "top_logprobs": ((0,), "is not offered by Anthropic"),
    "logit_bias": (({},), "is not offered by Anthropic"),
    "presence_penalty": ((0,), "is not offered by Anthropic"),
    "frequency_penalty": ((0,), "is not offered by Anthropic"),
    "modalities": ((["text"],), "has to be text alone: Anthropic gives no audio"),
    "verbosity": (("medium",), "is not offered by Anthropic"),
    "seed": ((), "is not offered by Anthropic: its answers cannot be repeated"),
    "audio": ((), "is not offered by Anthropic"),
    "moderation": ((), "is not offered by Anthropic"),
    "functions": (([],), "is the old form: use tools"),
    "function_call": (("auto", "none"), "is the old form: use tool_choice"),
}
_LEAST_THINKING_TOP_P = 0.95
_TIERS = {"auto": "auto", "default": "standard_only"}
_MAPPED = frozenset(
    {
        "model",
        "messages",
        "stream",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "user",
        "safety_identifier",
    }
    | {"tools", "tool_choice", "parallel_tool_calls", "web_search_options", "response_format"}
    | {"reasoning_effort", "thinking", "temperature", "top_p", "top_k"}
    | {"service_tier", "prompt_cache_options", "cache_control"}
    | {name for name, _ in LET_GO}
)
_OBJECT_TOOL: Object = {
    "name": JSON_TOOL,
    "description": "Gives the whole answer as one JSON object, in the form that the conversation asks for.",
    "input_schema": {"type": "object", "additionalProperties": True},
}


def translate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body for Anthropic; InvalidError or InexpressibleError name the field that stops it."""
    for name in fields.keys() - _MAPPED:
        if fields[name] is not None:
            _refuse(name, fields[name], ask)
    most = _most_tokens(fields, ask)
    system, turns = messages.translate(fields, ask)
    body: Object = {"model": ask.upstream_model, "max_tokens": most, "messages": turns}
    if system:
        body["system"] = system
    if fields.get("stream"):
        body["stream"] = True
    _end_and_caller(fields, body, ask)
    _think(fields, body, ask)
    _sample(fields, body, ask)
    tools.translate(fields, body, ask)
    _format(fields, body, ask)
    return body


def _refuse(name: str, value: Any, ask: Ask) -> None:
    neutral, reason = _NEUTRAL.get(name, ((), "is no field that Anthropic knows"))
    if value not in neutral:
        ask.cannot(name, reason)


def _most_tokens(fields: Mapping[str, Any], ask: Ask) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        if fields.get(name) is not None:
            return as_whole(fields[name], name, 1)
    return ask.output_cap


def _end_and_caller(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """Stop sequences, who asks, the tier and the cache."""
    stop = fields.get("stop")
    if stop is not None:
        found = [stop] if isinstance(stop, str) else as_list(stop, "stop")
        kept = [words for number, words in enumerate(found) if _stops(words, number, ask)]
        if kept:
            body["stop_sequences"] = kept
    user = fields.get("safety_identifier") or fields.get("user")
    if user is not None:
        body["metadata"] = {"user_id": as_text(user, "user")}
    tier = fields.get("service_tier")
    if tier is not None:
        if tier in _TIERS:
            body["service_tier"] = _TIERS[tier]
        else:
            ask.cannot("service_tier", "has to be auto or default: Anthropic has no such tier to choose")
    options = fields.get("prompt_cache_options")
    if options is not None and as_object(options, "prompt_cache_options").get("mode") == "implicit":
        body["cache_control"] = messages.cache_of(options, "prompt_cache_options", ask)
    if fields.get("cache_control") is not None:
        body["cache_control"] = as_object(fields["cache_control"], "cache_control")


def _stops(words: Any, number: int, ask: Ask) -> bool:
    path = f"stop[{number}]"
    if as_text(words, path).strip():
        return True
    ask.cannot(path, "has to hold more than spaces at Anthropic")
    return False


def _sample(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """Sampling: Anthropic's temperature ends at 1, thinking allows hardly any, and the newest models none."""
    thinks, samples = _thinks(body), anthropic_thinking.samples(ask.upstream_model)
    for name, most in (("temperature", 2), ("top_p", 1)):
        if fields.get(name) is None:
            continue
        value = as_number(fields[name], name, 0, most)
        if value > 1:
            ask.cannot(name, "has to be 1 or less at Anthropic")
        elif not samples:
            # 1 is what these models do by themselves.
            if value != 1:
                ask.cannot(name, "is not offered by this model")
        elif thinks and (value != 1 if name == "temperature" else value < _LEAST_THINKING_TOP_P):
            ask.cannot(name, "cannot be set while Anthropic thinks")
        else:
            body[name] = value
    if fields.get("top_k") is not None:
        if thinks or not samples:
            ask.cannot("top_k", "cannot be set while Anthropic thinks, nor for its newest models")
        else:
            body["top_k"] = as_whole(fields["top_k"], "top_k", 0)


def _thinks(body: Object) -> bool:
    return body.get("thinking", {}).get("type") in {"enabled", "adaptive"}


def _think(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """`thinking` in Anthropic's own form where the client gives it, else from the effort."""
    given = fields.get("thinking")
    if given is not None:
        body["thinking"] = as_object(given, "thinking")
        return
    effort = fields.get("reasoning_effort")
    if effort is None:
        return
    if effort not in {"none", "minimal", *anthropic_thinking.EFFORTS}:
        raise InvalidError("reasoning_effort", "has to be none, minimal, low, medium, high, xhigh or max")
    if not anthropic_thinking.thinks(ask.upstream_model):
        if effort != "none":
            ask.cannot("reasoning_effort", "is not offered by this model: it does not think")
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif anthropic_thinking.adaptive(ask.upstream_model):
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {"effort": anthropic_thinking.effort_of(effort)}
    elif not _goes_on_unsigned(body["messages"]):
        budget = anthropic_thinking.budget_of(effort, body["max_tokens"])
        if budget:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            ask.cannot("reasoning_effort", "needs max_completion_tokens above 1024 at Anthropic")


def _goes_on_unsigned(turns: list[Object]) -> bool:
    """Whether tool results go on from calls whose thinking the client did not give back: there it cannot think."""
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in {"thinking", "redacted_thinking"}


def _format(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    given = fields.get("response_format")
    if given is None:
        return
    kind = as_object(given, "response_format").get("type")
    if kind == "json_schema":
        body["output_config"] = {**body.get("output_config", {}), "format": _schema(given)}
    elif kind == "json_object":
        if fields.get("tools") or fields.get("web_search_options") is not None or _thinks(body):
            reason = (
                "json_object cannot be asked of Anthropic together with tools or reasoning: use json_schema"
            )
            ask.cannot("response_format", reason)
            return
        body["tools"] = [*body.get("tools", ()), _OBJECT_TOOL]
        body["tool_choice"] = {"type": "tool", "name": JSON_TOOL, "disable_parallel_tool_use": True}
    elif kind != "text":
        raise InvalidError("response_format.type", "has to be text, json_object or json_schema")


def _schema(given: Object) -> Object:
    path = "response_format.json_schema"
    stated = as_object(given.get("json_schema"), path)
    schema = as_object(stated.get("schema"), f"{path}.schema")
    description = stated.get("description")
    if description and "description" not in schema:
        schema = {**schema, "description": as_text(description, f"{path}.description")}
    try:
        return {"type": "json_schema", "schema": anthropic_schema.fitted(schema)}
    except RecursionError:
        raise InexpressibleError(f"{path}.schema", "is nested too deep") from None

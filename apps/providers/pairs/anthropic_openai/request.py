# SPDX-License-Identifier: Apache-2.0
"""A Messages request as a chat completion request.

Thinking becomes `reasoning_effort`: the effort that is asked for, or the one a budget stands for. OpenAI closes with
`strict` only schemas in which every property is required; others are asked for without.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_request as read
from apps.providers.dialects import anthropic_thinking
from apps.providers.pairs.anthropic_openai import messages, models, tools
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Object

# Fields that change nothing about the answer and have no place at OpenAI.
LET_GO = (
    ("diagnostics", "asks for a report about Anthropic's cache"),
    ("cache_control", "OpenAI sets one mark by itself, which is what this asks for"),
    ("thinking.display", "OpenAI tells no reasoning; what other servers tell is passed on"),
    ("context_management: clear_thinking", "thinking of earlier turns is not sent at all"),
)
# Fields that say nothing with these values and cannot be said with others.
_NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "top_k": ((), "is not offered by OpenAI"),
    "speed": (("standard",), "is not offered by OpenAI"),
    "mcp_servers": (([],), "is not offered by OpenAI"),
    "container": ((), "is not offered by OpenAI"),
    "inference_geo": ((), "cannot be promised for OpenAI"),
    "user_profile_id": ((), "is known to Anthropic alone"),
    "workspace_id": ((), "is known to Anthropic alone"),
}
_MAPPED = frozenset(
    {"model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_p"}
    | {"tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "service_tier"}
    | {"context_management", "diagnostics", "cache_control"}
)
_TIERS = {"auto": "auto", "standard_only": "default"}
_MOST_STOPS, _MOST_USER_CHARS = 4, 64


def translate(fields: Mapping[str, Any], ask: Ask) -> Object:
    """The body for OpenAI; InvalidError or InexpressibleError name the field that stops it."""
    for name in fields.keys() - _MAPPED:
        if fields[name] is not None:
            neutral, reason = _NEUTRAL.get(name, ((), "is no field that OpenAI knows"))
            if fields[name] not in neutral:
                ask.cannot(name, reason)
    most = read.checked_count(fields.get("max_tokens"), "max_tokens", 0)
    if not most:
        raise InexpressibleError("max_tokens", "has to be 1 or more at OpenAI: it cannot only warm its cache")
    told, loaded = messages.translate(fields, ask)
    body: Object = {
        "model": ask.upstream_model,
        "messages": told,
        "max_completion_tokens": most,
    }
    if fields.get("stream"):
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    _caller(fields, body, ask)
    _think(fields, body, ask)
    _sample(fields, body, ask)
    tools.translate(fields, body, loaded, ask)
    _format(fields, body, ask)
    return body


def _sample(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    samples = models.samples(ask.upstream_model, body.get("reasoning_effort"))
    for name in ("temperature", "top_p"):
        if fields.get(name) is not None:
            value = read.checked_number(fields[name], name, 0, 1)
            if samples:
                body[name] = value
            elif value != 1:
                ask.cannot(name, "is not offered by this model while it reasons")
    stops = fields.get("stop_sequences")
    if stops:
        found = read.checked_list(stops, "stop_sequences")
        for number, words in enumerate(found):
            read.checked_text(words, f"stop_sequences.{number}")
        if len(found) > _MOST_STOPS:
            ask.cannot("stop_sequences", "cannot hold more than 4 at OpenAI")
        body["stop"] = found[:_MOST_STOPS]


def _caller(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """Who asks, in which tier, and what of the context is to be cleared."""
    metadata = fields.get("metadata")
    if metadata is not None:
        user = read.checked_object(metadata, "metadata").get("user_id")
        if user is not None:
            body["user"] = _user(read.checked_text(user, "metadata.user_id"))
    tier = fields.get("service_tier")
    if tier is not None:
        if tier not in _TIERS:
            raise InvalidError("service_tier", "has to be auto or standard_only")
        body["service_tier"] = _TIERS[tier]
    context = fields.get("context_management")
    if context is not None:
        edits = read.checked_list(
            read.checked_object(context, "context_management").get("edits") or [], "context_management.edits"
        )
        for number, edit in enumerate(edits):
            path = f"context_management.edits.{number}"
            if not str(read.checked_object(edit, path).get("type")).startswith("clear_thinking"):
                ask.cannot(path, "is not offered by OpenAI")


def _user(user_id: str) -> str:
    """The id of a user within OpenAI's bound: a longer one by its digest, which stands for the same user."""
    return user_id if len(user_id) <= _MOST_USER_CHARS else hashlib.sha256(user_id.encode()).hexdigest()


def _think(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    effort, path = _effort(fields, ask), "thinking"
    config = fields.get("output_config")
    stated = None if config is None else read.checked_object(config, "output_config").get("effort")
    if stated is not None and effort != models.least_effort(ask.upstream_model):
        if stated not in anthropic_thinking.EFFORTS:
            raise InvalidError("output_config.effort", "has to be low, medium, high, xhigh or max")
        effort, path = stated, "output_config.effort"
    if not effort:
        return
    if models.never_reasons(ask.upstream_model):
        ask.cannot(path, "is not offered by this model: it does not reason")
        return
    body["reasoning_effort"] = effort


def _effort(fields: Mapping[str, Any], ask: Ask) -> str | None:
    """The effort that `thinking` asks for; None where it leaves that open."""
    thinking = fields.get("thinking")
    if thinking is None:
        return None
    kind = read.checked_object(thinking, "thinking").get("type")
    if kind == "enabled":
        budget = read.checked_count(
            thinking.get("budget_tokens"), "thinking.budget_tokens", anthropic_thinking.LEAST_BUDGET
        )
        return anthropic_thinking.effort_of_budget(budget)
    if kind == "disabled":
        return models.least_effort(ask.upstream_model)
    if kind == "between_tools":
        ask.cannot("thinking.type", "cannot be between_tools at OpenAI")
    elif kind != "adaptive":
        raise InvalidError("thinking.type", "has to be enabled, adaptive, between_tools or disabled")
    return None


def _format(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    config = fields.get("output_config") or {}
    for name in config.keys() - {"effort", "format"}:
        if config[name] is not None:
            ask.cannot(f"output_config.{name}", "is no field that OpenAI knows")
    given, path = config.get("format"), "output_config.format"
    if given is None:
        # The form of the time when this was a preview.
        given, path = fields.get("output_format"), "output_format"
    if given is None:
        return
    if read.checked_object(given, path).get("type") != "json_schema":
        raise InvalidError(f"{path}.type", "has to be json_schema")
    schema = read.checked_object(given.get("schema"), f"{path}.schema")
    try:
        strict = _closed(schema)
    except RecursionError:
        raise InexpressibleError(f"{path}.schema", "is nested too deep") from None
    body["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def _closed(schema: Any) -> bool:
    """Whether OpenAI takes a schema as strict: objects are closed and all their properties required."""
    if isinstance(schema, list):
        return all(_closed(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        required = schema.get("required")
        names = set(required) if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or names != set(properties or {}):
            return False
    inner = [schema[name] for name in ("items", "anyOf", "allOf") if name in schema]
    for name in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(name), dict):
            inner += schema[name].values()
    return all(_closed(part) for part in inner)

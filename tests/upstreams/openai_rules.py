# SPDX-License-Identifier: Apache-2.0
"""What OpenAI turns down beyond a wrong form, in OpenAI's words (platform.openai.com/docs/guides/error-codes)."""

import json
from typing import Any

from tests.upstreams import rules
from tests.upstreams.rules import Fault, RejectedError, bracketed, kind_of
from tests.upstreams.wire import Request

# Models that reason: they take `max_completion_tokens` only, and no sampling but the default one.
REASONING = ("o1", "o3", "o4", "gpt-5")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
}


def error(fault: RejectedError) -> bytes:
    """OpenAI's form of a rejection."""
    kind = "invalid_request_error"
    body = {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code}
    return json.dumps({"error": body}).encode()


def admit(request: Request) -> None:
    """RejectedError where OpenAI would not answer with 200."""
    if not request.headers.get("authorization", "").startswith("Bearer "):
        raise RejectedError("You didn't provide an API key.", status=401)
    kinds = {"/chat/completions": "chat", "/completions": "completions", "/embeddings": "embeddings"}
    kind = next((kind for end, kind in kinds.items() if request.path.endswith(end)), "")
    if not kind:
        if request.path.endswith("/models"):
            return
        raise RejectedError(f"Invalid URL ({request.method} {request.path})", status=404)
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise RejectedError(
            "Unsupported content type. This API method only accepts 'application/json' requests."
        )
    body = rules.read(request.body)
    try:
        fault = rules.first_fault("openai", kind, body)
        if fault is not None:
            raise _rejection(fault)
        if kind == "chat":
            _chat(body)
    except RejectedError as rejected:
        rejected.model = str(body.get("model", ""))
        raise


def _rejection(fault: Fault) -> RejectedError:
    where = bracketed(fault.path)
    if fault.kind == "missing":
        text, code = f"Missing required parameter: '{where}'.", "missing_required_parameter"
    elif fault.kind == "extra":
        text, code = f"Unknown parameter: '{where}'.", "unknown_parameter"
    elif fault.kind == "value":
        wanted = ", ".join(f"'{value}'" for value in fault.wanted)
        text = f"Invalid value: '{fault.got}'. Supported values are: {wanted}."
        code = "invalid_value"
    else:
        text = f"Invalid type for '{where}': expected {fault.wanted}, but got {kind_of(fault.got)} instead."
        code = "invalid_type"
    return RejectedError(text, param=where, code=code)


def _chat(body: dict[str, Any]) -> None:
    _messages(body["messages"])
    _sampling(body)
    if "stream_options" in body and body["stream_options"] is not None and not body.get("stream"):
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise RejectedError(text, param="stream_options")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise RejectedError(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    tools = body.get("tools")
    if tools == []:
        raise RejectedError(
            "Invalid 'tools': empty array. Expected an array with minimum length 1.",
            param="tools",
            code="empty_array",
        )
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not tools and not body.get("functions"):
            raise RejectedError(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                param=name,
            )
    _schema(body.get("response_format") or {})


def _messages(messages: list[dict[str, Any]]) -> None:
    """Each tool call has its answer right after it, and no answer comes without a call."""
    if not messages:
        raise RejectedError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
            param="messages",
            code="empty_array",
        )
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise RejectedError(text, param=f"messages.[{number}].role")
            open_calls.discard(message["tool_call_id"])
            continue
        _all_answered(open_calls, number)
        if message["role"] == "assistant":
            calls = message.get("tool_calls") or ()
            open_calls = {call["id"] for call in calls}
            if (
                not calls
                and message.get("content") is None
                and not (message.keys() & {"refusal", "audio", "function_call"})
            ):
                text = "Invalid value for 'content': expected a string, got null."
                raise RejectedError(text, param=f"messages.[{number}].content")
    _all_answered(open_calls, len(messages))


def _all_answered(open_calls: set[str], number: int) -> None:
    if open_calls:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(sorted(open_calls))}"
        )
        raise RejectedError(text, param=f"messages.[{number}].role")


def _sampling(body: dict[str, Any]) -> None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise RejectedError(text, param="max_tokens", code="invalid_parameter_combination")
    if body["model"].startswith(REASONING):
        if body.get("max_tokens") is not None:
            text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            raise RejectedError(text, param="max_tokens", code="unsupported_parameter")
        for name in ("temperature", "top_p"):
            if body.get(name) not in (None, 1):
                text = f"Unsupported value: '{name}' does not support {body[name]} with this model. Only the default (1) value is supported."
                raise RejectedError(text, param=name, code="unsupported_value")
    elif body.get("reasoning_effort") is not None and body["model"].startswith(("gpt-4", "gpt-3")):
        text = "Unrecognized request argument supplied: reasoning_effort"
        raise RejectedError(text)
    for name, (low, high) in _RANGES.items():
        _within(name, body.get(name), low, high)
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        raise RejectedError(
            f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {len(stop)} instead.",
            param="stop",
            code="array_above_max_length",
        )


def _within(name: str, value: float | None, low: int, high: int) -> None:
    if value is None or low <= value <= high:
        return
    kind = "decimal" if isinstance(value, float) else "integer"
    below = value < low
    text = f"Invalid '{name}': {kind} {'below minimum' if below else 'above maximum'} value. "
    text += f"Expected a value {'>=' if below else '<='} {low if below else high}, but got {value} instead."
    raise RejectedError(text, param=name, code=f"{kind}_{'below_min' if below else 'above_max'}_value")


def _schema(form: dict[str, Any]) -> None:
    """Strict schemas close every object and require every property."""
    wanted = form.get("json_schema") or {}
    if not wanted.get("strict"):
        return
    name = wanted.get("name", "")
    waiting: list[tuple[tuple[str, ...], Any]] = [((), wanted.get("schema") or {})]
    while waiting:
        where, schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        if schema.get("type") == "object":
            _closed(name, where, schema)
        waiting += [
            ((*where, "properties", key), inner) for key, inner in (schema.get("properties") or {}).items()
        ]
        waiting += [((*where, "items"), schema.get("items"))]


def _closed(name: str, where: tuple[str, ...], schema: dict[str, Any]) -> None:
    place = f"In context=({', '.join(repr(part) for part in where)})"
    text = ""
    if schema.get("additionalProperties") is not False:
        text = "'additionalProperties' is required to be supplied and to be false."
    elif missing := sorted(set(schema.get("properties") or {}) - set(schema.get("required") or ())):
        text = f"'required' is required to be supplied and to be an array including every key in properties. Missing '{missing[0]}'."
    if text:
        raise RejectedError(
            f"Invalid schema for response_format '{name}': {place}, {text}", param="response_format"
        )

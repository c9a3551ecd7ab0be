# SPDX-License-Identifier: Apache-2.0
"""What Anthropic turns down beyond a wrong form, in Anthropic's words (platform.claude.com/docs/en/api/errors)."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.upstreams import plan, rules
from tests.upstreams.rules import Fault, RejectedError, dotted
from tests.upstreams.wire import Request

VERSIONS = ("2023-06-01", "2026-10-21")
# Gone with the second version.
SAMPLING = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 500)}
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
# Which models think how, by the beginning of their names; others take both.
_MANUAL_ONLY = ("claude-3", "claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "claude-opus-4-1")
_ADAPTIVE_ONLY = ("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-haiku-5")
_IDENTITY, _TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]+$"), re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_MOST_BREAKPOINTS = 4
_UNSUPPORTED = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
)

Body = dict[str, Any]
Block = dict[str, Any]


def error(status: int, message: str) -> bytes:
    """Anthropic's form of an error."""
    kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}
    return json.dumps(body).encode()


def admit(request: Request) -> None:
    """RejectedError where Anthropic would not answer with 200."""
    headers = request.headers
    if not headers.get("x-api-key") and not headers.get("authorization", "").startswith("Bearer "):
        raise RejectedError("x-api-key header is required", status=401)
    version = headers.get("anthropic-version", "")
    if version not in VERSIONS:
        text = f'"{version}" is not a valid version.' if version else "header is required"
        raise RejectedError(f"anthropic-version: {text}")
    if request.path.endswith("/models"):
        return
    kind = {"/messages": "messages", "/count_tokens": "count_tokens"}.get(
        request.path[request.path.rfind("/") :]
    )
    if kind is None:
        raise RejectedError("Not Found", status=404)
    if not headers.get("content-type", "").startswith("application/json"):
        raise RejectedError("Content-Type: must be application/json")
    body = rules.read(request.body)
    try:
        _form(body, ("beta_" if headers.get("anthropic-beta") else "") + kind, version)
        _turns(body["messages"], version)
        _tools(body)
        _thinking(body, body.get("max_tokens"))
        _cache(body)
        _schema(((body.get("output_config") or {}).get("format") or {}).get("schema"))
    except RejectedError as rejected:
        rejected.model = str(body.get("model", ""))
        raise


def _form(body: Body, kind: str, version: str) -> None:
    given = dict(body)
    if version == VERSIONS[0] and kind.endswith("messages"):
        for name, (low, high) in SAMPLING.items():
            value = given.pop(name, None)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise RejectedError(f"{name}: Input should be a valid number", param=name)
            if value is not None and not low <= value <= high:
                raise RejectedError(f"{name}: range: {low}..{high}", param=name)
            if value is not None and name != "top_k" and str(body.get("model")).startswith(_ADAPTIVE_ONLY):
                raise RejectedError(f"`{name}` is deprecated for this model.", param=name)
    fault = rules.first_fault("anthropic", kind, given)
    if fault is not None:
        raise RejectedError(_said(fault), param=dotted(fault.path))
    if kind.endswith("messages") and body["max_tokens"] < 0:
        raise RejectedError("max_tokens: Input should be greater than or equal to 0", param="max_tokens")


def _said(fault: Fault) -> str:
    where = dotted(fault.path)
    if fault.kind == "missing":
        return f"{where}: Field required"
    if fault.kind == "extra":
        return f"{where}: Extra inputs are not permitted"
    if fault.kind == "value":
        wanted = " or ".join(f"'{value}'" for value in fault.wanted)
        return f"{where}: Input should be {wanted}"
    words = {
        "string": "string",
        "integer": "integer",
        "array": "list",
        "object": "dictionary",
        "number": "number",
    }
    return f"{where}: Input should be a valid {words.get(str(fault.wanted), str(fault.wanted))}"


def blocks(content: Any) -> list[Block]:
    """The blocks of a message; a bare string is one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _turns(messages: list[Body], version: str) -> None:
    """Tool calls and results follow each other; turns of one role in a row count as one."""
    if not messages:
        raise RejectedError("messages: at least one message is required", param="messages")
    merged: list[tuple[int, str, list[Block]]] = []
    for number, message in enumerate(messages):
        found = blocks(message["content"])
        for place, block in enumerate(found):
            _block(f"messages.{number}.content.{place}", message["role"], block, version)
        if message["role"] == "system":
            continue
        if merged and merged[-1][1] == message["role"]:
            merged[-1][2].extend(found)
        else:
            merged.append((number, message["role"], found))
    called: list[str] = []
    for number, role, found in merged:
        _answered(number, called, found)
        called = [b["id"] for b in found if b["type"] == "tool_use"] if role == "assistant" else []
    _answered(len(messages), called, [])


def _answered(number: int, called: list[str], found: list[Block]) -> None:
    results = [block["tool_use_id"] for block in found if block["type"] == "tool_result"]
    for place, identity in enumerate(results):
        if identity not in called:
            raise RejectedError(
                f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {identity}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
    leading = [block["tool_use_id"] for block in found[: len(called)] if block["type"] == "tool_result"]
    if missing := [identity for identity in called if identity not in leading]:
        raise RejectedError(
            f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    if len(set(results)) != len(results):
        raise RejectedError(
            f"messages.{number}: each tool_use must have a single result. Found multiple `tool_result` blocks."
        )


def _block(where: str, role: str, block: Block, version: str) -> None:
    kind = block["type"]
    if kind == "text" and not block["text"]:
        raise RejectedError("messages: text content blocks must be non-empty")
    if kind == "tool_use" and not _IDENTITY.match(block["id"]):
        raise RejectedError(f"{where}.tool_use.id: String should match pattern '{_IDENTITY.pattern}'")
    if kind == "thinking" and block["signature"] != plan.SIGNATURE:
        raise RejectedError(f"{where}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and block["data"] != plan.REDACTED:
        raise RejectedError(f"{where}: Invalid `data` in `redacted_thinking` block")
    wrong_side = {
        "assistant": ("tool_result", "image"),
        "user": ("tool_use", "thinking", "redacted_thinking"),
    }
    if kind in wrong_side.get(role, ()):
        raise RejectedError(f"{where}: `{kind}` blocks are not allowed in `{role}` messages")
    if version == VERSIONS[1] and role == "assistant" and kind == "document":
        raise RejectedError(f"{where}: `document` blocks are not allowed in `assistant` messages")
    if version == VERSIONS[1] and role == "user" and block.get("citations") and kind == "text":
        raise RejectedError(f"{where}.citations: not permitted in `user` messages")
    source = block.get("source") or {}
    if isinstance(source, dict) and source.get("type") == "base64":
        _base64(f"{where}.{kind}.source.base64", source["data"])
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for place, inner in enumerate(block["content"]):
            _block(f"{where}.tool_result.content.{place}", "", inner, version)


def _base64(where: str, data: str) -> None:
    try:
        base64.b64decode(data, validate=True)
    except binascii.Error as fault:
        raise RejectedError(f"{where}: invalid base64 data") from fault
    if not data:
        raise RejectedError(f"{where}: image cannot be empty")


def _tools(body: Body) -> None:
    tools = body.get("tools") or []
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) != len(names):
        raise RejectedError("tools: Tool names must be unique.", param="tools")
    for number, tool in enumerate(tools):
        if "input_schema" not in tool:
            continue
        if not _TOOL_NAME.match(tool["name"]):
            raise RejectedError(
                f"tools.{number}.custom.name: String should match pattern '{_TOOL_NAME.pattern}'"
            )
        if tool["input_schema"].get("type") != "object":
            missing = "type" not in tool["input_schema"]
            text = "Field required" if missing else "Input should be 'object'"
            raise RejectedError(f"tools.{number}.custom.input_schema.type: {text}")
    choice = body.get("tool_choice")
    if choice and not tools:
        raise RejectedError(
            "tool_choice: tool_choice may only be specified while providing tools", param="tool_choice"
        )
    if choice and choice["type"] == "tool" and choice["name"] not in names:
        raise RejectedError(
            f"tool_choice: Tool '{choice['name']}' not found in provided tools", param="tool_choice"
        )


def _thinking(body: Body, most: int | None) -> None:
    kind = (body.get("thinking") or {}).get("type")
    if body["messages"][-1]["role"] == "assistant":
        if body["model"].startswith(("claude-opus-4-6", "claude-sonnet-4-6", *_ADAPTIVE_ONLY)):
            text = "This model does not support assistant message prefill. The conversation must end with a user message."
            raise RejectedError(text)
        if str(blocks(body["messages"][-1]["content"])[-1].get("text", "x")).endswith((" ", "\n")):
            raise RejectedError("messages: final assistant content cannot end with trailing whitespace")
    if kind not in ("enabled", "adaptive"):
        return
    if kind == "adaptive" and body["model"].startswith(_MANUAL_ONLY):
        raise RejectedError("adaptive thinking is not supported on this model")
    if kind == "enabled":
        if body["model"].startswith(_ADAPTIVE_ONLY):
            raise RejectedError(
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
            )
        budget = body["thinking"]["budget_tokens"]
        if budget < 1024:
            raise RejectedError(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            )
        if most is not None and budget >= most:
            raise RejectedError(
                "`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens"
            )
    if body.get("temperature") not in (None, 1):
        raise RejectedError(
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
        )
    if body.get("top_k") is not None:
        raise RejectedError("`top_k` must be unset when thinking is enabled or in adaptive mode.")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise RejectedError(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        )
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise RejectedError("Thinking may not be enabled when tool_choice forces tool use.")


def _cache(body: Body) -> None:
    found = sum(1 for block in _cacheable(body) if block.get("cache_control")) + bool(
        body.get("cache_control")
    )
    if found > _MOST_BREAKPOINTS:
        raise RejectedError(
            f"A maximum of {_MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )


def _cacheable(body: Body) -> Iterator[Block]:
    yield from body.get("tools") or ()
    yield from blocks(body.get("system") or [])
    for message in body["messages"]:
        for block in blocks(message["content"]):
            yield block
            inner = block.get("content")
            yield from inner if isinstance(inner, list) else ()


def _schema(schema: Any, where: str = "output_config.format.schema") -> None:
    """Structured output knows a part of JSON Schema only, and closed objects."""
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise RejectedError(
            f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    if found := [name for name in _UNSUPPORTED if name in schema]:
        raise RejectedError(f"{where}: For '{kind}' type, properties {', '.join(found)} are not supported")
    for inner in (*(schema.get("properties") or {}).values(), schema.get("items"), *schema.get("anyOf", ())):
        _schema(inner, where)

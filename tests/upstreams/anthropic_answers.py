# SPDX-License-Identifier: Apache-2.0
"""The bodies of Anthropic messages (platform.claude.com/docs/en/api/messages) that an upstream gives."""

import json
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tests.upstreams import plan
from tests.upstreams.anthropic_rules import blocks
from tests.upstreams.plan import Call, Facts
from tests.upstreams.script import Script
from tests.upstreams.wire import sse

MODELS = ("claude-sonnet-4-6", "claude-opus-5-5")
_STOPS = {"stop": "end_turn", "length": "max_tokens", "stop_sequence": "stop_sequence"}
_ID = "msg_upstream"

Block = dict[str, Any]


class Asked:
    """One request as an upstream sees it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.body: dict[str, Any] = json.loads(raw)
        self.model = str(self.body.get("model", ""))
        self.stream = bool(self.body.get("stream"))
        self.prompt = next(filter(None, map(_user_text, reversed(self.body["messages"]))), "")

    @cached_property
    def facts(self) -> Facts:
        """What the request brought."""
        messages = self.body["messages"]
        thinking = self.body.get("thinking") or {}
        form = (self.body.get("output_config") or {}).get("format") or {}
        return Facts(
            tuple(tool["name"] for tool in self.body.get("tools") or () if "input_schema" in tool),
            tuple(sight for m in messages for b in blocks(m["content"]) for sight in _seen(b)),
            tuple(_results(messages)),
            form.get("schema"),
            thinking.get("type") in ("enabled", "adaptive"),
        )


def _user_text(message: dict[str, Any]) -> str:
    found = blocks(message["content"]) if message["role"] == "user" else []
    return "".join(block["text"] for block in found if block["type"] == "text")


def _seen(block: Block) -> Iterator[str]:
    source = block.get("source")
    if block["type"] in ("image", "document") and isinstance(source, dict):
        if source["type"] == "base64":
            yield plan.sight(source["media_type"], source["data"])
        else:
            yield str(source.get("url") or source.get("data") or source.get("file_id"))
    inner = block.get("content")
    for part in inner if isinstance(inner, list) else ():
        yield from _seen(part)


def _results(messages: list[dict[str, Any]]) -> Iterator[str]:
    """The tool results of the last turn, by the names of their calls."""
    names = {b["id"]: b["name"] for m in messages for b in blocks(m["content"]) if b["type"] == "tool_use"}
    for block in blocks(messages[-1]["content"]):
        if block["type"] == "tool_result":
            said = "".join(part.get("text", "") for part in blocks(block.get("content") or []))
            yield f"{names.get(block['tool_use_id'], '?')}: {'error: ' if block.get('is_error') else ''}{said}"


def content_of(script: Script, asked: Asked, text: str) -> list[Block]:
    """The blocks of an answer."""
    made: list[Block] = []
    if script.think and asked.facts.thinks:
        # Omitted thinking is still a block, and still signed.
        shown = "" if asked.body["thinking"].get("display") == "omitted" else plan.THOUGHT
        made.append({"type": "thinking", "thinking": shown, "signature": plan.SIGNATURE})
        if script.redacted:
            made.append({"type": "redacted_thinking", "data": plan.REDACTED})
    if script.refuse:
        return made
    calls = plan.calls(script, asked.facts)
    if not calls or script.text:
        made.append({"type": "text", "text": text, "citations": None})
    return made + [_tool_use(call) for call in calls]


def _tool_use(call: Call) -> Block:
    identity = "toolu_upstream" if call.number == 0 else f"toolu_upstream_{call.number}"
    return {"type": "tool_use", "id": identity, "name": call.name, "input": call.arguments}


def _ending(script: Script, content: list[Block]) -> dict[str, Any]:
    reason = _STOPS.get(script.finish, script.finish)
    if any(block["type"] == "tool_use" for block in content):
        reason = "tool_use"
    made: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
    if script.refuse:
        details = {"type": "refusal", "category": "general_harms", "explanation": plan.REFUSAL}
        made |= {"stop_reason": "refusal", "stop_details": details}
    return made


def usage_of(script: Script, asked: Asked, text: str) -> dict[str, Any]:
    """What the answer says it used; input without what the cache read and wrote."""
    found = plan.numbers(script, asked.raw, text) or plan.numbers(Script(), asked.raw, text)
    assert found is not None
    usage: dict[str, Any] = {
        "input_tokens": found.input - found.cached - found.written,
        "cache_creation_input_tokens": found.written,
        "cache_read_input_tokens": found.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": found.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": found.output,
        "service_tier": "standard",
    }
    if found.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": found.reasoning}
    return usage


def whole(script: Script, asked: Asked, text: str) -> bytes:
    """The JSON body of an answer."""
    if script.garbage:
        return b'{"type": "message", "content": [{"text": "this never'
    content = content_of(script, asked, text)
    answer = _head(script, asked) | {"content": content, "usage": usage_of(script, asked, text)}
    answer |= _ending(script, content)
    if script.unknown:
        answer["x_unknown"] = {"kept": [1, 2.50, "ünïcode"]}
    return json.dumps(answer, ensure_ascii=False).encode()


def _head(script: Script, asked: Asked) -> dict[str, Any]:
    return {
        "id": _ID,
        "type": "message",
        "role": "assistant",
        "model": script.model or asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def events(script: Script, asked: Asked, text: str) -> Iterator[bytes]:
    """The events of a stream in order; an endless script never stops."""
    content = content_of(script, asked, text)
    used = usage_of(script, asked, text)
    started = {name: value for name, value in used.items() if name != "output_tokens_details"}
    yield _event(
        script, "message_start", message=_head(script, asked) | {"usage": started | {"output_tokens": 1}}
    )
    for index, block in enumerate(content):
        yield _event(script, "content_block_start", index=index, content_block=_opening(block))
        if index == 0:
            yield _event(script, "ping")
        for delta in _deltas(script, block):
            yield _event(script, "content_block_delta", index=index, delta=delta)
        yield _event(script, "content_block_stop", index=index)
    told = {n: v for n, v in used.items() if n not in ("cache_creation", "service_tier")}
    yield _event(script, "message_delta", delta=_ending(script, content), usage=told)
    yield _event(script, "message_stop")


def _opening(block: Block) -> Block:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(script: Script, block: Block) -> Iterator[Block]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in plan.pieces(script, block["text"]))
    elif block["type"] == "thinking":
        yield from (
            {"type": "thinking_delta", "thinking": piece} for piece in plan.cut(block["thinking"], 12)
        )
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use":
        said = json.dumps(block["input"], ensure_ascii=False)
        for piece in ("", *plan.cut(said, 5)):
            yield {"type": "input_json_delta", "partial_json": piece}


def _event(script: Script, kind: str, **fields: Any) -> bytes:
    extra = {"x_unknown": True} if script.unknown else {}
    return sse(script, json.dumps({"type": kind, **fields, **extra}, ensure_ascii=False), kind)


def count(asked: Asked) -> bytes:
    """About four bytes per token."""
    return json.dumps({"input_tokens": math.ceil(len(asked.raw) / 4)}).encode()


def models() -> bytes:
    """The list of models."""
    made = "2026-01-01T00:00:00Z"
    rows = [
        {"type": "model", "id": n, "display_name": n, "created_at": made, "lifecycle": "active"}
        for n in MODELS
    ]
    return json.dumps(
        {"data": rows, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    ).encode()

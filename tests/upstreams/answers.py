# SPDX-License-Identifier: Apache-2.0
"""The bodies of OpenAI chat completions (platform.openai.com/docs/api-reference/chat) that an upstream gives."""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tests.upstreams import plan
from tests.upstreams.plan import Call, Facts
from tests.upstreams.script import Script
from tests.upstreams.wire import sse

_ID, _CREATED = "chatcmpl-upstream", 1_700_000_000


class Asked:
    """One request as an upstream sees it; raises ValueError when it is not a chat request."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.body: dict[str, Any] = json.loads(raw)
        if not isinstance(self.body, dict) or not isinstance(self.body.get("messages"), list):
            raise ValueError("messages is missing")
        self.model = str(self.body.get("model", ""))
        self.stream = bool(self.body.get("stream"))
        self.n = int(self.body.get("n") or 1)
        self.usage_wanted = bool((self.body.get("stream_options") or {}).get("include_usage"))
        self.prompt = _last_user_text(self.body["messages"])

    @cached_property
    def facts(self) -> Facts:
        """What the request brought; read only by answers that need it."""
        wanted = (self.body.get("response_format") or {}).get("json_schema") or {}
        return Facts(
            tuple(tool["function"]["name"] for tool in self.body.get("tools") or () if "function" in tool),
            tuple(_seen(self.body["messages"])),
            tuple(_results(self.body["messages"])),
            wanted.get("schema"),
        )


def _last_user_text(messages: list[Any]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _seen(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "image_url":
                yield _sight(part["image_url"]["url"])
            elif part.get("type") == "file":
                yield _sight(part["file"].get("file_data", ""))


def _sight(url: str) -> str:
    if not url.startswith("data:"):
        return url
    kind, _, data = url[5:].partition(";base64,")
    return plan.sight(kind, data)


def _results(messages: list[Any]) -> Iterator[str]:
    """The tool messages at the end, by the names of their calls."""
    if not messages or messages[-1].get("role") != "tool":
        return
    names = {c["id"]: c["function"]["name"] for m in messages for c in m.get("tool_calls") or ()}
    first = max(at for at, message in enumerate(messages) if message.get("role") != "tool") + 1
    for message in messages[first:]:
        yield f"{names.get(message['tool_call_id'], '?')}: {_text(message['content'])}"


def usage_of(script: Script, asked: Asked, text: str) -> dict[str, Any] | None:
    """What the answer says it used."""
    found = plan.numbers(script, asked.raw, text, asked.n)
    if found is None:
        return None
    usage: dict[str, Any] = {
        "prompt_tokens": found.input,
        "completion_tokens": found.output,
        "total_tokens": found.input + found.output,
    }
    if found.cached or found.written:
        usage["prompt_tokens_details"] = {"cached_tokens": found.cached}
        if found.written:
            usage["prompt_tokens_details"]["cache_write_tokens"] = found.written
    if found.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": found.reasoning}
    return usage


def whole(script: Script, asked: Asked, text: str) -> bytes:
    """The JSON body of an answer."""
    if script.garbage:
        return b'{"choices": [{"message": {"content": "this never'
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish = script.finish
    if found := plan.calls(script, asked.facts) if script.tools else []:
        message = {
            "role": "assistant",
            "content": script.text or None,
            "tool_calls": [_tool_call(call) for call in found],
        }
        finish = "tool_calls"
    if script.refuse:
        message = {"role": "assistant", "content": None, "refusal": plan.REFUSAL}
    logprobs = _logprobs(text) if asked.body.get("logprobs") else None
    answer: dict[str, Any] = {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": script.model or asked.model,
        "choices": [
            {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}
            for index in range(asked.n)
        ],
        "system_fingerprint": "fp_upstream",
    }
    usage = usage_of(script, asked, text)
    if usage is not None:
        answer["usage"] = usage
    if script.unknown:
        answer |= {"x_unknown": {"kept": [1, 2.50, "ünïcode"]}, "service_tier": "default"}
    return json.dumps(answer, ensure_ascii=False).encode()


def _logprobs(text: str) -> dict[str, Any]:
    """A likelihood for each word."""
    words = text.split(" ")
    return {
        "content": [
            {"token": word, "logprob": -0.25, "bytes": list(word.encode()), "top_logprobs": []}
            for word in words
        ],
        "refusal": None,
    }


def error(status: int) -> bytes:
    """The JSON body of a refusal."""
    kinds = {401: "invalid_request_error", 429: "rate_limit_error", 400: "invalid_request_error"}
    kind = "server_error" if status >= 500 else kinds.get(status, "invalid_request_error")
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    fault = {"message": f"The upstream refuses with {status}.", "type": kind, "param": None, "code": code}
    return json.dumps({"error": fault}).encode()


def events(script: Script, asked: Asked, text: str) -> Iterator[bytes]:
    """The events of a stream in order, without [DONE]; an endless script never stops."""

    def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        extra = {"x_unknown": {"kept": True}} if script.unknown else {}
        return frame(script, {**head, "choices": [choice], **extra, **more})

    head = {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": script.model or asked.model,
        "system_fingerprint": "fp_upstream",
    }
    indexes = range(asked.n)
    for index in indexes:
        yield chunk({"role": "assistant", "content": ""}, index)
    found = plan.calls(script, asked.facts) if script.tools else []
    for delta in _deltas(script, found, text):
        for index in indexes:
            yield chunk(delta, index)
    finish = "tool_calls" if found else script.finish
    for index in indexes:
        yield chunk({}, index, finish)
    usage = usage_of(script, asked, text)
    if usage is not None and (asked.usage_wanted or script.usage_always):
        yield frame(script, {**head, "choices": [], "usage": usage})


def _deltas(script: Script, found: list[Call], text: str) -> Iterator[dict[str, Any]]:
    if script.refuse:
        yield from ({"refusal": piece} for piece in plan.cut(plan.REFUSAL, 8))
        return
    if not found or script.text:
        yield from ({"content": piece} for piece in plan.pieces(script, text))
    for call in found:
        yield from _tool_deltas(call)


def frame(script: Script, value: dict[str, Any] | str) -> bytes:
    """One event on the wire."""
    return sse(script, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _tool_call(call: Call) -> dict[str, Any]:
    said = json.dumps(call.arguments, ensure_ascii=False)
    identity = "call_upstream" if call.number == 0 else f"call_upstream_{call.number}"
    return {"id": identity, "type": "function", "function": {"name": call.name, "arguments": said}}


def _tool_deltas(call: Call) -> Iterator[dict[str, Any]]:
    made = _tool_call(call)
    opening = {**made, "index": call.number, "function": {"name": call.name, "arguments": ""}}
    yield {"tool_calls": [opening]}
    for piece in plan.cut(made["function"]["arguments"], 5):
        yield {"tool_calls": [{"index": call.number, "function": {"arguments": piece}}]}

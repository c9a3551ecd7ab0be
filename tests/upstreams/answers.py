# SPDX-License-Identifier: Apache-2.0
"""The bodies of OpenAI chat completions (platform.openai.com/docs/api-reference/chat) that an upstream gives."""

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

from tests.upstreams.script import GREETING, Script, without_script

_ID, _CREATED = "chatcmpl-upstream", 1_700_000_000


class Asked:
    """One request as an upstream sees it; raises ValueError when it is not a chat request."""

    __slots__ = ("body", "n", "model", "prompt", "raw", "stream", "usage_wanted")  # noqa: RUF023

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


def _last_user_text(messages: list[Any]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "".join(str(part.get("text", "")) for part in content)
            return str(content or "")
    return ""


def text_of(script: Script, asked: Asked, headers: dict[str, str]) -> str:
    """The text of the answer."""
    if script.mirror:
        text = asked.raw.decode()
    elif script.heads:
        text = json.dumps(headers, sort_keys=True)
    elif script.echo:
        text = without_script(asked.prompt)
    else:
        text = script.text or GREETING
    return padded(text, script.size) if script.size > len(text) else text


def padded(text: str, size: int) -> str:
    """A text said again and again up to a size."""
    return ((text + " ") * (size // (len(text) + 1) + 1))[:size]


def usage_of(script: Script, asked: Asked, text: str) -> dict[str, Any] | None:
    """What the answer says it used: about four bytes per token, or what the script says."""
    if script.usage == "none":
        return None
    if script.usage:
        numbers = [int(part) for part in script.usage.split(",")] + [0, 0]
        given, made, cached = numbers[:3]
    else:
        given, made, cached = math.ceil(len(asked.raw) / 4), math.ceil(len(text) / 4) * asked.n, 0
    usage: dict[str, Any] = {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
    }
    if cached:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def whole(script: Script, asked: Asked, text: str) -> bytes:
    """The JSON body of an answer."""
    if script.garbage:
        return b'{"choices": [{"message": {"content": "this never'
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish = script.finish
    if script.tools:
        message, finish = {"role": "assistant", "content": None, "tool_calls": [_tool_call()]}, "tool_calls"
    answer: dict[str, Any] = {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": script.model or asked.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
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


def error(status: int) -> bytes:
    """The JSON body of a refusal."""
    kind = (
        "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    )
    fault = {"message": f"The upstream refuses with {status}.", "type": kind, "param": None, "code": None}
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
    deltas = _tool_deltas() if script.tools else ({"content": piece} for piece in pieces(script, text))
    for delta in deltas:
        for index in indexes:
            yield chunk(delta, index)
    finish = "tool_calls" if script.tools else script.finish
    for index in indexes:
        yield chunk({}, index, finish)
    usage = usage_of(script, asked, text)
    if usage is not None and (asked.usage_wanted or script.usage_always):
        yield frame(script, {**head, "choices": [], "usage": usage})


def pieces(script: Script, text: str) -> Iterator[str]:
    """The text cut as the script says; together the pieces are the text."""
    if script.endless:
        yield from (f"word{number} " for number in itertools.count())
    elif script.events:
        yield from (f"word{number} " for number in range(script.events))
    elif script.split:
        yield from (text[at : at + script.split] for at in range(0, len(text), script.split))
    else:
        words = text.split(" ")
        yield from (word + " " for word in words[:-1])
        yield words[-1]


def frame(script: Script, value: dict[str, Any] | str) -> bytes:
    """One event on the wire."""
    payload = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    end = "\r\n" if script.crlf else "\n"
    comment = f": still here{end}{end}" if script.comments else ""
    return f"{comment}data: {payload}{end}{end}".encode()


def _tool_call() -> dict[str, Any]:
    return {
        "id": "call_upstream",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"town": "Bern"}'},
    }


def _tool_deltas() -> Iterator[dict[str, Any]]:
    call = _tool_call()
    arguments = call["function"]["arguments"]
    opening = {**call, "index": 0, "function": {"name": "look_up", "arguments": ""}}
    yield {"tool_calls": [opening]}
    for at in range(0, len(arguments), 5):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 5]}}]}

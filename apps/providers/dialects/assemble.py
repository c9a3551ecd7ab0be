# SPDX-License-Identifier: Apache-2.0
"""Between the two forms of a chat completion: chunks put together to a whole, a whole told in chunks."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_MOST_CHARS = 1_000_000


class Assembler:
    """Collects the chunks that were delivered; `body` is the completion they amount to."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._size = 0

    def add(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk; past a bound nothing more is collected and `body` stays empty."""
        if not self._head:
            self._head = {
                name: value for name, value in chunk.items() if name not in {"choices", "usage", "object"}
            }
        for choice in chunk["choices"]:
            index = choice.get("index") or 0
            found = self._choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
            found["finish_reason"] = choice.get("finish_reason") or found["finish_reason"]
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._take(found["message"], delta)

    def body(self, usage_chunk: dict[str, Any] | None) -> bytes:
        """The completion as JSON; empty where it grew past the bound."""
        if self._size > _MOST_CHARS:
            return b""
        usage = {"usage": usage_chunk["usage"]} if usage_chunk is not None else {}
        choices = [self._choices[index] for index in sorted(self._choices)]
        return _encode({**self._head, "object": "chat.completion", "choices": choices, **usage})

    def _take(self, message: dict[str, Any], delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if isinstance(value, str):
                self._size += len(value)
                if self._size <= _MOST_CHARS:
                    message[name] = value if name == "role" else (message.get(name) or "") + value
            elif name == "tool_calls" and isinstance(value, list):
                self._take_calls(message.setdefault("tool_calls", []), value)
            elif name not in message:
                message[name] = value

    def _take_calls(self, calls: list[dict[str, Any]], pieces: list[Any]) -> None:
        for piece in pieces:
            if not isinstance(piece, dict):
                continue
            number = piece.get("index", len(calls))
            known = next((call for call in calls if call["index"] == number), None)
            if known is None:
                known = {"index": number, "function": {"arguments": ""}}
                calls.append(known)
            given = piece.get("function")
            function: dict[str, Any] = given if isinstance(given, dict) else {}
            arguments = function.get("arguments") or ""
            self._size += len(arguments)
            if self._size <= _MOST_CHARS:
                known["function"]["arguments"] += arguments
            known["function"] |= {k: v for k, v in function.items() if k != "arguments"}
            known |= {k: v for k, v in piece.items() if k not in {"function", "index"}}


def chunks_of(whole: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """A completion as chunks (the text of each choice in one, its end in another) and its usage chunk."""
    head = {name: value for name, value in whole.items() if name not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"
    chunks = []
    for choice in whole["choices"]:
        index = choice.get("index") or 0
        delta = dict(choice.get("message") or {})
        if isinstance(delta.get("tool_calls"), list):
            delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(delta["tool_calls"])]
        more = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}
        chunks.append({**head, "choices": [{"index": index, "delta": delta, "finish_reason": None, **more}]})
        reason = choice.get("finish_reason") or "stop"
        chunks.append({**head, "choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    usage = whole.get("usage")
    return chunks, {**head, "choices": [], "usage": usage} if usage else None

# SPDX-License-Identifier: Apache-2.0
"""The chunks of a chat completion: what they say, the whole they amount to, and a whole told in chunks."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_MOST_CHARS = 1_000_000


class OpenAITape:
    """Notes how a stream of chunks goes, and collects them where the whole is wanted."""

    __slots__ = ("_choices", "_head", "_keep", "_last", "_size", "chars", "finish_reason")

    def __init__(self, *, keep: bool) -> None:
        self.finish_reason = ""
        self.chars = 0
        self._keep = keep
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        # The event with the usage.
        self._last: dict[str, Any] | None = None
        self._size = 0

    def take(self, chunk: dict[str, Any]) -> bool:
        """Note one chunk; the one with the usage and no choices is the last."""
        choices = chunk["choices"]
        if not choices and chunk.get("usage"):
            self._last = chunk
            return True
        for choice in choices:
            if reason := choice.get("finish_reason"):
                self.finish_reason = self.finish_reason or str(reason)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self.chars += _characters(delta)
        if self._keep:
            self._add(chunk)
        return False

    def whole(self) -> bytes:
        """The completion as JSON; empty where it is not kept or grew past the bound."""
        if not self._keep or self._size > _MOST_CHARS:
            return b""
        usage = {"usage": self._last["usage"]} if self._last is not None else {}
        choices = [self._choices[index] for index in sorted(self._choices)]
        return _encode({**self._head, "object": "chat.completion", "choices": choices, **usage})

    def usage_event(self) -> dict[str, Any] | None:
        """The chunk that says the usage, if it came."""
        return self._last

    def _add(self, chunk: dict[str, Any]) -> None:
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


def _characters(delta: dict[str, Any]) -> int:
    """How many characters a delta adds, in any of its texts."""
    size = 0
    for name, value in delta.items():
        if isinstance(value, str):
            size += len(value) if name != "role" else 0
        elif isinstance(value, list):
            size += sum(
                len(str(c["function"].get("arguments") or ""))
                for c in value
                if isinstance(c, dict) and isinstance(c.get("function"), dict)
            )
    return size


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

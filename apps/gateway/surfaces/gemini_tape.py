# SPDX-License-Identifier: Apache-2.0
"""What has to be known of a stream of generateContent chunks, and the answer they amount to."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.gateway.surfaces.gemini_texts import parts_of
from apps.gateway.surfaces.surface import FILTERED, Object
from apps.providers.dialects.gemini_finish import block_reason, openai_reason

MOST_CHARS = 1_000_000
_PLAIN = frozenset({"text", "thought"})
_encode = msgspec.json.Encoder().encode


def reason_of(answer: Mapping[str, Any]) -> str:
    """How an answer ended, in the words of records: as its first candidate did, or refused as its prompt was."""
    for candidate in answer.get("candidates") or ():
        if reason := candidate.get("finishReason"):
            calls = any("functionCall" in part for part in parts_of(candidate) or ())
            return openai_reason(str(reason), calls=calls)
    return FILTERED if block_reason(answer) else ""


class GeminiTape:
    """The tape of one stream."""

    def __init__(self, *, keep: bool) -> None:
        self.finish_reason = ""
        self.chars = 0
        self._keep = keep
        self._calls: set[int] = set()
        self._head: Object = {}
        self._candidates: dict[int, Object] = {}
        self._size = 0

    def take(self, event: Object) -> bool:
        """Note a chunk; True from the first one that ends a candidate on: what follows only adds figures."""
        for candidate in event.get("candidates") or ():
            index = candidate.get("index") or 0
            for part in parts_of(candidate) or ():
                self._count(index, part)
            if (reason := candidate.get("finishReason")) and not self.finish_reason:
                self.finish_reason = openai_reason(str(reason), calls=index in self._calls)
            if self._keep:
                self._collect(index, candidate)
        if not self.finish_reason and block_reason(event):
            self.finish_reason = FILTERED
        if self._keep:
            self._head |= {name: value for name, value in event.items() if name != "candidates"}
        return bool(self.finish_reason)

    def usage_event(self) -> Object | None:
        """None: usage comes with every stream, asked for or not."""
        return None

    def whole(self) -> bytes:
        """The answer as JSON; empty where it is not kept or grew past the bound."""
        if not self._keep or (not self._head and not self._candidates) or self._size > MOST_CHARS:
            return b""
        candidates = [self._candidates[index] for index in sorted(self._candidates)]
        return _encode({**({"candidates": candidates} if candidates else {}), **self._head})

    def _count(self, index: int, part: Object) -> None:
        if isinstance(part.get("text"), str):
            self.chars += len(part["text"])
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._calls.add(index)
            self.chars += len(_encode(call.get("args") or call.get("partialArgs") or ""))

    def _collect(self, index: int, candidate: Object) -> None:
        known = self._candidates.setdefault(index, {"content": {"parts": [], "role": "model"}})
        known |= {name: value for name, value in candidate.items() if name != "content" and value is not None}
        parts: list[Object] = known["content"]["parts"]
        for part in parts_of(candidate) or ():
            self._size += len(part["text"]) if _is_plain(part) else len(_encode(part))
            if self._size <= MOST_CHARS:
                _add(parts, part)


def _add(parts: list[Object], part: Object) -> None:
    """Text goes on in the part before, where that is plain text of the same kind; signatures stay on their own part."""
    last = parts[-1] if parts else {}
    if _is_plain(part) and _is_plain(last) and part.get("thought") == last.get("thought"):
        last["text"] += part["text"]
    elif part != {"text": ""}:
        parts.append(dict(part))


def _is_plain(part: Object) -> bool:
    return isinstance(part.get("text"), str) and part.keys() <= _PLAIN

# SPDX-License-Identifier: Apache-2.0
"""Chunks of generateContent with their texts held back: text and thoughts of each candidate grow on their own channels."""

from typing import Any

from typing_extensions import override

from apps.gateway.surfaces.gemini_texts import beside, parts_of
from apps.gateway.surfaces.holding import Channel, Holding
from apps.gateway.surfaces.reading import Shadow, without
from apps.gateway.surfaces.surface import Object
from apps.policies.stream import StreamReview

# They would tell token by token what is held back or replaced.
PROBABILITIES = ("logprobsResult", "avgLogprobs")
_MOST_INDEX = 1_000_000
_ALONE = frozenset({"text", "thought"})
_END = ("finishReason", "finishMessage")


class GeminiHeld(Holding):
    """The hold-back over one stream."""

    @override
    def __init__(self, review: StreamReview) -> None:
        super().__init__(review)
        # Per candidate: its text and its thoughts, and arguments that come in pieces.
        self._texts: dict[int, dict[bool, Channel]] = {}
        self._arguments: dict[tuple[int, str], Channel] = {}
        self._begun: dict[int, bool] = {}
        # What every chunk says again, as it came and as it leaves.
        self._heads: dict[str, tuple[str, Any]] = {}
        self._usage: Any = None

    def pass_on(self, event: Object) -> list[Object]:
        """The chunks to send for one that came; a candidate that ends gets what is held for it before its end."""
        self._usage = event.get("usageMetadata") or self._usage
        if not self._head(event):
            return []
        given = event.get("candidates")
        if not given:
            return [event]
        kept = []
        for candidate in given:
            if self._candidate(candidate):
                kept.append(candidate)
            if self._review.blocked is not None:
                break
        event["candidates"] = kept
        return [event] if kept or "promptFeedback" in event else []

    def filtered(self, reason: str) -> list[Object]:
        """One chunk that ends every candidate which has not ended yet."""
        open_ones = sorted(index for index, ended in self._begun.items() if not ended) or [0]
        # Without content, as the provider's own: clients keep such a turn out of what they send next.
        candidates = [
            {"finishReason": "SAFETY", "finishMessage": reason, "index": index} for index in open_ones
        ]
        usage = {"usageMetadata": self._usage} if self._usage else {}
        head = {name: value for name, (_, value) in self._heads.items()}
        told = {"code": "policy_blocked", "message": reason}
        return [{"candidates": candidates, **usage, **head, "smartflow": told}]

    def _head(self, event: Object) -> bool:
        """What a chunk says beside its candidates; the same words again are not looked at again."""
        for name, value in without(event, {"candidates", "usageMetadata"}).items():
            known = self._heads.get(name)
            if known is not None and known[0] == value:
                event[name] = known[1]
                continue
            if not self._sweep(Shadow({name: value}, event.__setitem__)):
                return False
            if isinstance(value, str):
                self._heads[name] = (value, event[name])
        return True

    def _candidate(self, candidate: Object) -> bool:
        """One candidate with what may leave of it; False where that is nothing."""
        for name in PROBABILITIES:
            candidate.pop(name, None)
        index, parts = _index(candidate), parts_of(candidate)
        if not self._sweep(without(candidate, {"content"} if parts is not None else ())):
            return False
        if parts is not None and not self._sweep(without(candidate["content"], {"parts"})):
            return False
        self._begun.setdefault(index, False)
        out = self._parts(index, parts or [])
        ends = bool(candidate.get("finishReason"))
        if ends and self._review.blocked is None:
            out += self._flush(index)
        if self._review.blocked is not None:
            for name in _END:
                candidate.pop(name, None)
        elif ends:
            self._begun[index] = True
        if not out and not candidate.keys() - {"index", "content", "safetyRatings"}:
            return False
        if out or parts is not None:
            content = candidate["content"] if parts is not None else {"role": "model"}
            candidate["content"] = {**content, "parts": out or [{"text": ""}]}
        return True

    def _parts(self, index: int, parts: list[Object]) -> list[Object]:
        out: list[Object] = []
        for part in parts:
            out += self._text(index, part) if isinstance(part.get("text"), str) else self._other(index, part)
            if self._review.blocked is not None:
                break
        return out

    def _text(self, index: int, part: Object) -> list[Object]:
        thought = part.get("thought") is True
        channels = self._texts.setdefault(index, {})
        if thought not in channels:
            name = f"{index}:thought:reasoning" if thought else f"{index}:text"
            channels[thought] = Channel(self._review, name)
        released = channels[thought].feed(part["text"])
        self.delivered += len(released)
        if self._review.blocked is not None or not self._sweep(beside(part)):
            return [_text_part(released, thought)] if released else []
        part["text"] = released
        return [part] if released or part.keys() - _ALONE else []

    def _other(self, index: int, part: Object) -> list[Object]:
        """Calls, data and the like come whole; the texts before them end there."""
        before = self._flush(index)
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._pieces(index, call)
        if self._review.blocked is not None or not self._sweep(beside(part)):
            return before
        return [*before, part]

    def _pieces(self, index: int, call: Object) -> None:
        """Arguments that come in pieces: each text of them grows on a channel of its own until it is said to be whole."""
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, dict) or not isinstance(piece.get("stringValue"), str):
                continue
            key = (index, str(piece.get("jsonPath")))
            if key not in self._arguments:
                self._arguments[key] = Channel(self._review, f"{index}:args:{len(self._arguments)}")
            channel = self._arguments[key]
            released = channel.feed(piece["stringValue"])
            if not piece.get("willContinue"):
                released += channel.flush()
            piece["stringValue"] = released
            self.delivered += len(released)

    def _flush(self, index: int) -> list[Object]:
        out: list[Object] = []
        for thought, channel in self._texts.pop(index, {}).items():
            if rest := channel.flush():
                self.delivered += len(rest)
                out.append(_text_part(rest, thought))
            if self._review.blocked is not None:
                break
        return out


def _text_part(text: str, thought: bool) -> Object:
    return {"text": text, "thought": True} if thought else {"text": text}


def _index(candidate: Object) -> int:
    index = candidate.get("index") or 0
    if type(index) is not int or not 0 <= index <= _MOST_INDEX:
        raise ValueError("the number of a candidate is none")
    return index

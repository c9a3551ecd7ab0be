# SPDX-License-Identifier: Apache-2.0
"""The chunks of a text completion: the hold-back over them, the whole they amount to, and a whole told in chunks."""

from typing import Any

import msgspec

from apps.gateway.surfaces.holding import Channel, Holding
from apps.policies.stream import StreamReview

_encode = msgspec.json.Encoder().encode
_MOST_CHARS = 1_000_000
_NOT_HEAD = ("choices", "usage")


class TextTape:
    """Notes how a stream of chunks goes, and collects them where the whole is wanted."""

    __slots__ = ("_choices", "_head", "_keep", "_last", "chars", "finish_reason")

    def __init__(self, *, keep: bool) -> None:
        self.finish_reason = ""
        self.chars = 0
        self._keep = keep
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        # The event with the usage.
        self._last: dict[str, Any] | None = None

    def take(self, event: dict[str, Any]) -> bool:
        """Note one chunk; the one with the usage and no choices is the last."""
        choices = event["choices"]
        if not choices and event.get("usage"):
            self._last = event
            return True
        for choice in choices:
            reason = choice.get("finish_reason")
            self.finish_reason = self.finish_reason or str(reason or "")
            self.chars += len(choice["text"])
            if self._keep and self.chars <= _MOST_CHARS:
                self._add(choice)
        if self._keep and not self._head:
            self._head = _head(event)
        return False

    def whole(self) -> bytes:
        """The completion as JSON; empty where it is not kept or grew past the bound."""
        if not self._keep or self.chars > _MOST_CHARS:
            return b""
        usage = {"usage": self._last["usage"]} if self._last is not None else {}
        choices = [self._choices[index] for index in sorted(self._choices)]
        return _encode({**self._head, "choices": choices, **usage})

    def usage_event(self) -> dict[str, Any] | None:
        """The chunk that says the usage, if it came."""
        return self._last

    def _add(self, choice: dict[str, Any]) -> None:
        known = self._choices.setdefault(choice["index"], {**choice, "text": "", "finish_reason": None})
        known["text"] += choice["text"]
        known["finish_reason"] = choice.get("finish_reason") or known["finish_reason"]


class TextHeld(Holding):
    """Rewrites chunks so that only released text leaves; what is held comes out with the end of its choice."""

    def __init__(self, review: StreamReview) -> None:
        super().__init__(review)
        self._channels: dict[int, Channel] = {}
        self._last: dict[str, Any] = {}

    def pass_on(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunk with what may leave of it."""
        self._last = _head(event)
        for choice in event["choices"]:
            index = choice["index"]
            channel = self._channels.get(index)
            if channel is None:
                channel = self._channels[index] = Channel(self._review, f"{index}:text")
            released = channel.feed(choice["text"])
            if choice.get("finish_reason"):
                rest = channel.flush()
                released += rest if self._review.blocked is None else ""
            self.delivered += len(released)
            choice["text"] = released
        return [event]

    def filtered(self, reason: str) -> list[dict[str, Any]]:
        """The chunk that ends a blocked stream, with a reason machines can read."""
        choices = [
            {"text": "", "index": index, "logprobs": None, "finish_reason": "content_filter"}
            for index in sorted(self._channels) or [0]
        ]
        told = {"code": "policy_blocked", "message": reason}
        return [{**self._last, "choices": choices, "smartflow": told}]


def chunks_of(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """A completion as chunks: each choice in one, then its usage."""
    head = _head(whole)
    chunks = [{**head, "choices": [choice]} for choice in whole["choices"]]
    usage = whole.get("usage")
    return [*chunks, {**head, "choices": [], "usage": usage}] if usage else chunks


def _head(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _NOT_HEAD}

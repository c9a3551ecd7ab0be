# SPDX-License-Identifier: Apache-2.0
"""Chunks of a stream whose texts pass through the policies' hold-back, each text of each choice on its own channel."""

from typing import Any

from apps.policies.domain import Verdict
from apps.policies.stream import StreamReview


class Held:
    """Rewrites chunks so that only released text leaves; what is held comes out before its choice ends."""

    def __init__(self, review: StreamReview) -> None:
        self._review = review
        # Per choice: where each channel's text belongs in a delta.
        self._channels: dict[int, dict[str, tuple[str, int | None]]] = {}
        self._last: dict[str, Any] = {}
        self.delivered = 0

    @property
    def blocked(self) -> str | None:
        """The reason a policy stopped the stream for."""
        verdict = self._review.blocked
        return verdict.reason if verdict is not None else None

    def verdict(self) -> Verdict:
        """What policies found in all of the stream."""
        return self._review.verdict()

    def pass_on(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks to send for one that came; a choice that ends gets what is held for it in a chunk before."""
        before: list[dict[str, Any]] = []
        self._last = {name: value for name, value in chunk.items() if name not in {"choices", "usage"}}
        for choice in chunk["choices"]:
            index = choice.get("index") or 0
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._feed(index, delta)
            if choice.get("finish_reason"):
                before += self._flush(index)
        return [*before, chunk]

    def filtered(self, reason: str) -> dict[str, Any]:
        """The chunk that ends a blocked stream, with a reason machines can read."""
        choices = [
            {"index": index, "delta": {}, "finish_reason": "content_filter"}
            for index in sorted(self._channels) or [0]
        ]
        return {**self._last, "choices": choices, "smartflow": {"code": "policy_blocked", "message": reason}}

    def _feed(self, index: int, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if isinstance(value, str) and name != "role":
                delta[name] = self._through(index, name, None, value)
            elif isinstance(value, list):
                for place, call in enumerate(value):
                    self._feed_call(index, place, call)

    def _feed_call(self, index: int, place: int, call: Any) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            number = call.get("index", place)
            function["arguments"] = self._through(index, "tool_calls", number, function["arguments"])

    def _through(self, index: int, name: str, number: int | None, text: str) -> str:
        channel = f"{index}:{name}" if number is None else f"{index}:tool:{number}"
        self._channels.setdefault(index, {})[channel] = (name, number)
        released = self._review.feed(channel, text)
        self.delivered += len(released)
        return released

    def _flush(self, index: int) -> list[dict[str, Any]]:
        found = []
        for channel, (name, number) in self._channels.get(index, {}).items():
            rest = self._review.flush(channel)
            if not rest or self._review.blocked is not None:
                continue
            self.delivered += len(rest)
            delta = (
                {name: rest}
                if number is None
                else {name: [{"index": number, "function": {"arguments": rest}}]}
            )
            found.append({**self._last, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        return found

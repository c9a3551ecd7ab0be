# SPDX-License-Identifier: Apache-2.0
"""Chunks of a stream whose texts pass through the policies' hold-back, each text of each choice on its own channel."""

from typing import Any

from apps.policies.domain import Verdict
from apps.policies.stream import StreamReview

# Names of the way to a text in a delta; a number is the `index` of an item in a list.
Path = tuple[str | int, ...]
_WORDS = {"role", "type"}
# They come in one piece: nothing that follows can make them something else.
_WHOLE = {"id", "name"}
_REASONING = {"reasoning", "reasoning_content"}


class OpenAIHeld:
    """Rewrites chunks so that only released text leaves; what is held comes out before its choice ends."""

    def __init__(self, review: StreamReview) -> None:
        self._review = review
        # Per choice: where each channel's text belongs in a delta.
        self._channels: dict[int, dict[str, Path]] = {}
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
                self._feed(index, delta, ())
            if choice.get("logprobs"):
                # They would tell token by token what is held back or replaced.
                choice["logprobs"] = None
            if choice.get("finish_reason"):
                before += self._flush(index)
        return [*before, chunk]

    def filtered(self, reason: str) -> list[dict[str, Any]]:
        """The chunk that ends a blocked stream, with a reason machines can read."""
        choices = [
            {"index": index, "delta": {}, "finish_reason": "content_filter"}
            for index in sorted(self._channels) or [0]
        ]
        told = {"code": "policy_blocked", "message": reason}
        return [{**self._last, "choices": choices, "smartflow": told}]

    def _feed(self, index: int, holder: Any, path: Path) -> None:
        """Every text of a delta through the review, however deep it stands."""
        places = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for place, value in places:
            if isinstance(value, str):
                if place not in _WORDS:
                    holder[place] = self._through(index, (*path, place), value)
            elif isinstance(value, (dict, list)):
                number = value.get("index") if isinstance(holder, list) and isinstance(value, dict) else None
                self._feed(index, value, (*path, place if number is None else number))

    def _through(self, index: int, path: Path, text: str) -> str:
        channel = f"{index}:{'.'.join(map(str, path))}"
        if path[-1] == "arguments":
            channel = f"{index}:tool:{channel}"
        elif path[0] in _REASONING:
            channel += ":reasoning"
        released = self._review.feed(channel, text)
        if path[-1] in _WHOLE:
            released += self._review.flush(channel)
        else:
            self._channels.setdefault(index, {})[channel] = path
        self.delivered += len(released)
        return released

    def _flush(self, index: int) -> list[dict[str, Any]]:
        found = []
        for channel, path in self._channels.get(index, {}).items():
            rest = self._review.flush(channel)
            if not rest or self._review.blocked is not None:
                continue
            self.delivered += len(rest)
            delta: Any = rest
            for step in reversed(path):
                if isinstance(step, str):
                    delta = {step: delta}
                else:
                    delta = [{"index": step, **delta} if isinstance(delta, dict) else delta]
            found.append({**self._last, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        return found

# SPDX-License-Identifier: Apache-2.0
"""What hold-backs have in common: texts that grow, texts that come whole, and what policies found in them."""

from typing import Any

from apps.gateway.texts import Slot, collect
from apps.policies.domain import Verdict
from apps.policies.stream import StreamReview

_MARKS = {"tool_call": "tool:", "reasoning": ":reasoning"}


class Channel:
    """One growing text on its way through the review; notes whether it leaves as it came."""

    __slots__ = ("_name", "_review", "_waiting", "rewritten")

    def __init__(self, review: StreamReview, name: str) -> None:
        self._review, self._name = review, name
        self._waiting = ""
        self.rewritten = False

    def feed(self, text: str) -> str:
        """What may leave now."""
        self._waiting += text
        return self._compared(self._review.feed(self._name, text))

    def flush(self) -> str:
        """What is left at the end of the text."""
        rest = self._compared(self._review.flush(self._name))
        self.rewritten = self.rewritten or bool(self._waiting)
        return rest

    def _compared(self, released: str) -> str:
        if self.rewritten:
            self._waiting = ""
        elif self._waiting.startswith(released):
            self._waiting = self._waiting[len(released) :]
        else:
            self.rewritten = True
        return released


class Holding:
    """The part of a hold-back that knows no dialect."""

    def __init__(self, review: StreamReview) -> None:
        self._review = review
        self.delivered = 0

    @property
    def blocked(self) -> str | None:
        """The reason a policy stopped the stream for."""
        verdict = self._review.blocked
        return verdict.reason if verdict is not None else None

    def verdict(self) -> Verdict:
        """What policies found in all of the stream."""
        return self._review.verdict()

    def _sweep(self, value: Any) -> bool:
        """Every text of a value that comes whole through the review; False where one of them stops the stream."""
        slots: list[Slot] = []
        collect(value, "assistant", slots)
        return all(self._swept(slot) for slot in slots)

    def _swept(self, slot: Slot) -> bool:
        released = self._whole(slot.text, slot.role)
        if self._review.blocked is not None:
            return False
        if released != slot.text:
            slot.holder[slot.place] = released
        return True

    def _whole(self, text: str, role: str = "assistant") -> str:
        mark = _MARKS.get(role, "")
        name = f"0:{mark}whole" if mark.endswith(":") else f"0:whole{mark}"
        return self._review.feed(name, text) + self._review.flush(name)

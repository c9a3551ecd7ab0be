# SPDX-License-Identifier: Apache-2.0
"""Every text inside a request or an answer, where policies can read it and put something else in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.limits import MAX_JSON_DEPTH
from apps.policies.domain import Segment

# Words of the protocol, not of people; whatever else is a string is looked at.
_WORDS = {"role", "type", "finish_reason", "object"}
_DATA = ("data:image/", "data:audio/", "data:video/")
_LEAST = 2


class DepthError(ValueError):
    """Nesting deeper than any client needs."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One text and where it stands: `holder[place]` is the text."""

    holder: Any
    place: Any
    role: str
    text: str


def collect(value: Any, role: str, found: list[Slot]) -> None:
    """All texts of a JSON value in their order; DepthError past the bound."""
    _walk(value, role, found, MAX_JSON_DEPTH)


def collect_messages(messages: Sequence[Any], found: list[Slot]) -> None:
    """All texts of a list of chat messages, each under the role of its message."""
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        collect(message, role if isinstance(role, str) else "document", found)


def segments(slots: Sequence[Slot]) -> list[Segment]:
    """The slots as policies read them."""
    return [Segment(slot.role, slot.text) for slot in slots]


def put_back(slots: Sequence[Slot], texts: Sequence[str]) -> None:
    """Put rewritten texts where the original ones stood."""
    for slot, text in zip(slots, texts, strict=True):
        if text is not slot.text:
            slot.holder[slot.place] = text


def _walk(value: Any, role: str, found: list[Slot], depth: int) -> None:
    if depth == 0:
        raise DepthError(f"nested deeper than {MAX_JSON_DEPTH} levels")
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for place, inner in places:
        if isinstance(inner, str):
            if len(inner) >= _LEAST and place not in _WORDS and not inner.startswith(_DATA):
                found.append(Slot(value, place, _role(role, place), inner))
        elif isinstance(inner, (dict, list)) and inner:
            _walk(inner, role, found, depth - 1)


def _role(role: str, place: Any) -> str:
    return "tool_call" if place == "arguments" else "reasoning" if place == "reasoning_content" else role

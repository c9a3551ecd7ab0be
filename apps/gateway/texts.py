# SPDX-License-Identifier: Apache-2.0
"""Every text inside a request or an answer, where policies can read it and put something else in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.limits import MAX_JSON_DEPTH
from apps.policies.domain import Segment

# Where words of the protocol stand, not of people; whatever else is a string is looked at.
_WORDS = {"role", "type", "finish_reason", "object"}
_LINKS = {"url", "image_url"}
_DATA = ("data:image/", "data:audio/", "data:video/")
_LEAST = 2
# A whole number of so many digits may be somebody's.
_LONG_NUMBER = 10**9


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
    """All texts of a list of chat messages, each under the role of its message; what is no message has none."""
    for message in messages:
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        collect(message, role if isinstance(role, str) else "document", found)


def collect_field(fields: Any, place: Any, role: str, found: list[Slot]) -> None:
    """The text in one place of an object or a list, if it is one."""
    inner = fields[place]
    if isinstance(inner, str):
        if len(inner) >= _LEAST and not _is_protocol(place, inner):
            found.append(Slot(fields, place, _role(role, place), inner))
    elif isinstance(inner, int) and abs(inner) >= _LONG_NUMBER:
        found.append(Slot(fields, place, _role(role, place), str(inner)))


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
        if isinstance(inner, (dict, list)):
            if inner:
                _walk(inner, role, found, depth - 1)
        else:
            collect_field(value, place, role, found)


def _is_protocol(place: Any, text: str) -> bool:
    return (place in _WORDS and text.isidentifier()) or (place in _LINKS and text.startswith(_DATA))


def _role(role: str, place: Any) -> str:
    return "tool_call" if place == "arguments" else "reasoning" if place == "reasoning_content" else role

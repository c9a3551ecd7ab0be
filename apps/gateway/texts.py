# SPDX-License-Identifier: Apache-2.0
"""Every text inside a request or an answer, where policies can read it and put something else in its place."""

from collections.abc import Sequence
from typing import Any

from apps.core.limits import MAX_JSON_DEPTH
from apps.policies.domain import Segment

# Where words of the protocol stand, not of people; whatever else is a string is looked at.
_WORDS = {"role", "type", "finish_reason", "object"}
_LINKS = {"url", "image_url"}
_DATA = ("data:image/", "data:audio/", "data:video/")
_LEAST = 2
# Where a field says more than the role of its message.
_ROLES = {"arguments": "tool_call", "reasoning_content": "reasoning"}
# A whole number of so many digits may be somebody's.
_LONG_NUMBER = 10**9


class DepthError(ValueError):
    """Nesting deeper than any client needs."""


class Slot(Segment, frozen=True):
    """A segment and where it stands: `holder[place]` is the text."""

    holder: Any
    place: Any


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
        if len(inner) >= _LEAST and not (
            (place in _WORDS and inner.isidentifier()) or (place in _LINKS and inner.startswith(_DATA))
        ):
            found.append(Slot(_ROLES.get(place, role), inner, fields, place))
    elif isinstance(inner, int) and abs(inner) >= _LONG_NUMBER:
        found.append(Slot(_ROLES.get(place, role), str(inner), fields, place))


def characters(values: Sequence[Any]) -> int:
    """How many characters stand in some JSON values, words of the protocol left out."""
    size = 0
    for value in values:
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            for place, inner in value.items():
                if isinstance(inner, str):
                    size += len(inner) if place not in _WORDS else 0
                elif isinstance(inner, (dict, list)):
                    size += characters((inner,))
        elif isinstance(value, list):
            size += characters(value)
    return size


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

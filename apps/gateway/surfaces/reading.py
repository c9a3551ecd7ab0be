# SPDX-License-Identifier: Apache-2.0
"""Refusals of bodies that cannot be read, the same for every dialect: they name the field."""

import re

import msgspec

from apps.core.outcome import Refuse

_PLACE = re.compile(r"`\$\.?([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


def invalid(fault: msgspec.ValidationError) -> Refuse:
    """A field is missing or has the wrong type."""
    place, missing = _PLACE.search(str(fault)), _MISSING.search(str(fault))
    param = missing[1] if missing else (place[1] if place else "") or None
    what = "is missing" if missing else f"has the wrong type ({str(fault).partition(' - at')[0]})"
    return Refuse("invalid_request", f"`{param or 'body'}` {what}.", param)


def field(name: str, rule: str) -> Refuse:
    """A field has a value that cannot be; `rule` says what it must be."""
    return Refuse("invalid_request", f"`{name}` {rule}.", name)


def not_json(fault: Exception) -> Refuse:
    """The body is not JSON."""
    return Refuse("invalid_json", f"The body is not JSON: {str(fault)[:120]}.")


def too_deep() -> Refuse:
    """The body is nested deeper than any client needs."""
    return Refuse("invalid_json", "The body is nested deeper than 64 levels.")

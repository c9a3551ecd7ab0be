# SPDX-License-Identifier: Apache-2.0
"""Reading values of an OpenAI request; InvalidError names the field in OpenAI's way (`messages[0].content[1]`)."""

from typing import Any

from apps.providers.pairs.pair import Ask, InvalidError, Object


def as_object(value: Any, path: str) -> Object:
    """An object, or InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError(path, "has to be an object")
    return value


def as_list(value: Any, path: str) -> list[Any]:
    """A list, or InvalidError."""
    if not isinstance(value, list):
        raise InvalidError(path, "has to be a list")
    return value


def as_text(value: Any, path: str) -> str:
    """A text, or InvalidError."""
    if not isinstance(value, str):
        raise InvalidError(path, "has to be a text")
    return value


def as_whole(value: Any, path: str, least: int) -> int:
    """A whole number from a least one on, or InvalidError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidError(path, f"has to be a whole number, {least} or more")
    return value


def as_number(value: Any, path: str, least: float, most: float) -> float:
    """A number within bounds, or InvalidError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidError(path, f"has to be a number from {least:g} to {most:g}")
    return value


def refuse_others(given: Object, known: frozenset[str], path: str, ask: Ask) -> None:
    """Every field that is set and not known cannot be said."""
    if given.keys() <= known:
        return
    for name in given.keys() - known:
        if given[name] is not None:
            ask.cannot(f"{path}.{name}", "is no field that Anthropic knows")

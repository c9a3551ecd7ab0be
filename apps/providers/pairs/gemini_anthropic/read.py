# SPDX-License-Identifier: Apache-2.0
"""Reading values of a Gemini request; InvalidError names the field in Google's way (`contents[0].parts[1]`)."""

from typing import Any

from apps.providers.pairs.pair import InvalidError


def as_text(value: Any, path: str) -> str:
    """A text, or InvalidError."""
    if not isinstance(value, str):
        raise InvalidError(path, "must be a text")
    return value


def as_flag(value: Any, path: str) -> bool:
    """True or false, or InvalidError; nothing said is false."""
    if value is not None and not isinstance(value, bool):
        raise InvalidError(path, "must be true or false")
    return value is True


def as_whole(value: Any, path: str, least: int) -> int:
    """A whole number from a least one on, or InvalidError; `40.0` is one in Google's JSON."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidError(path, f"must be a whole number, {least} or more")
    return value


def as_number(value: Any, path: str, least: float, most: float) -> float:
    """A number within bounds, or InvalidError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidError(path, f"must be a number from {least:g} to {most:g}")
    return value


def as_texts(value: Any, path: str) -> list[str]:
    """A list of texts, or InvalidError."""
    if not isinstance(value, list):
        raise InvalidError(path, "must be a list")
    return [as_text(one, f"{path}[{number}]") for number, one in enumerate(value)]

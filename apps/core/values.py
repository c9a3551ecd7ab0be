# SPDX-License-Identifier: Apache-2.0
"""Values that cross a process border: frozen, slotted, JSON, with their version `v` inside."""

import functools
from typing import Any, TypeVar

import msgspec

V = TypeVar("V", bound="Value")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value of a room; every one that is stored or sent carries `v`, the version of its shape."""

    v: int = 1


class ShapeError(ValueError):
    """A stored value that this process cannot read; the text names the type and the fault, never the value."""


_ENCODER = msgspec.json.Encoder(decimal_format="string")


def encode(value: Any) -> bytes:
    """Compact JSON of a value; `Decimal` becomes text."""
    return _ENCODER.encode(value)


def decode(kind: type[V], raw: bytes) -> V:
    """The value in some JSON, of the current version or the one before it; else ShapeError."""
    try:
        value: V = _decoder(kind).decode(raw)
    except msgspec.MsgspecError as fault:
        raise ShapeError(f"{kind.__name__}: {fault}") from None
    newest = version(kind)
    if not newest - 1 <= value.v <= newest:
        raise ShapeError(f"{kind.__name__}: version {value.v} is not {newest} or {newest - 1}")
    return value


@functools.cache
def _decoder(kind: type[V]) -> msgspec.json.Decoder[V]:
    return msgspec.json.Decoder(kind)


@functools.cache
def version(kind: type[Value]) -> int:
    """The version that this code writes for a type of value."""
    for field in msgspec.structs.fields(kind):
        if field.name == "v":
            return int(field.default)
    raise TypeError(f"{kind.__name__} has no version")

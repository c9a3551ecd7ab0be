# SPDX-License-Identifier: Apache-2.0
"""OpenAI's dialect as those speak it who are nearly compatible: what differs is data (see vendors.toml)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from typing_extensions import override

from apps.providers.dialects.dialect import Piece
from apps.providers.dialects.openai import OpenAI, body_of
from apps.providers.dialects.openai_usage import read_usage

_encode = msgspec.json.Encoder().encode
_Said = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Quirks:
    """What an endpoint does otherwise; `refuses` has for each field the reason, and the values that say nothing."""

    auth_header: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    drops: frozenset[str] = frozenset()
    refuses: Mapping[str, _Said] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    usage_in: tuple[str, ...] = ()
    usage_asked: bool = True

    def refused(self, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The fields of a request that this endpoint cannot be told, each with the reason."""
        return [
            (name, self.refuses[name][0])
            for name in self.refuses.keys() & fields.keys()
            if fields[name] is not None and not _says_nothing(fields[name], self.refuses[name][1])
        ]


class Fitted(OpenAI):
    """The dialect with the quirks of one vendor; without a state otherwise."""

    def __init__(self, quirks: Quirks) -> None:
        self.quirks = quirks
        self._gone = quirks.drops | quirks.refuses.keys()

    @override
    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """The credential where this vendor wants it, and what else it wants."""
        own = self.quirks.auth_header
        found = super().headers("" if own else credential)
        if own and credential:
            found = ((own, credential), *found)
        return (*found, *self.quirks.headers)

    @override
    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request without what the vendor does not take, and with its names for what it calls otherwise."""
        body = body_of(fields, upstream_model)
        for name in self._gone & body.keys():
            del body[name]
        for ours, theirs in self.quirks.renames:
            value = body.pop(ours, None)
            if value is not None:
                # Ours goes before theirs where a client sends both: it is what was reserved for.
                body[theirs] = value
        if not self.quirks.usage_asked:
            body.pop("stream_options", None)
        return _encode(body)

    @override
    def decode_event(self, data: bytes) -> Piece:
        """One chunk, with the usage from wherever the vendor puts it."""
        piece = super().decode_event(data)
        if piece.usage is not None or piece.chunk is None or not self.quirks.usage_in:
            return piece
        for place in self.quirks.usage_in:
            raw = _usage_at(piece.chunk, place)
            if raw:
                # Translations look for it where OpenAI puts it.
                piece.chunk["usage"] = raw
                return Piece(piece.chunk, read_usage(raw))
        return piece


def _says_nothing(value: Any, allowed: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and value == one for one in allowed) or (
        isinstance(value, float) and value in allowed
    )


def _usage_at(chunk: Mapping[str, Any], place: str) -> Any:
    """The usage beside the usual place: in Groq's own object, or in the first choice."""
    found = chunk.get(place)
    if isinstance(found, list):
        found = found[0] if found else None
    return found.get("usage") if isinstance(found, dict) else None

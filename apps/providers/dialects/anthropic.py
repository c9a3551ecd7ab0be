# SPDX-License-Identifier: Apache-2.0
"""Anthropic Messages (platform.claude.com/docs/en/api/messages); a provider's base URL ends with `/v1`.

The calls have no state. A stream says its usage twice (`message_start`, `message_delta`), each time as far as it is
known (`Piece.part`): whoever reads the stream puts them together with `apps.providers.usage.merge`, where what is said later
holds. `message_stop` ends the stream and is itself an event to hand on, so its piece has a chunk as well.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.providers.dialects import anthropic_usage
from apps.providers.dialects.dialect import Dialect, Piece, Whole
from apps.providers.usage import Partial

VERSION = "2023-06-01"
_ERROR_CHARS = 500
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Anthropic:
    """The dialect as calls without state."""

    name = "anthropic"

    def path(self, upstream_model: str, *, stream: bool) -> str:
        """One path for both forms."""
        return "/messages"

    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """The credential in a header of its own, and the version whose shapes are spoken here."""
        fixed = (
            ("anthropic-version", VERSION),
            ("content-type", "application/json"),
            ("accept-encoding", "identity"),
        )
        return (("x-api-key", credential), *fixed) if credential else fixed

    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request with the provider's own name of the model."""
        return _encode({**fields, "model": upstream_model})

    def decode(self, body: bytes) -> Whole:
        """A whole message; ValueError when it is not one."""
        answer = _object(body)
        content = answer.get("content")
        if answer.get("type") != "message" or not isinstance(content, list):
            raise ValueError("no message")
        if not all(isinstance(block, dict) for block in content):
            raise ValueError("a block of the message is not an object")
        found = anthropic_usage.partial(answer.get("usage"))
        return Whole(answer, found.whole() if found else None, str(answer.get("stop_reason") or ""))

    def decode_event(self, data: bytes) -> Piece:
        """One event; ValueError when it is not one."""
        event = _object(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            return Piece(event)
        if kind == "error":
            return Piece(error=_message(event) or "the provider reported an error")
        if kind == "message_stop":
            return Piece(event, done=True)
        if not isinstance(kind, str):
            raise ValueError("an event without a type")
        return Piece(event, part=partial_usage(event))

    def ends(self, chunk: Mapping[str, Any]) -> bool:
        """Never: the end is told."""
        return False

    def error_text(self, body: bytes) -> str:
        """The message of Anthropic's error shape, cut to a bound."""
        try:
            return _message(_object(body))
        except (msgspec.DecodeError, RecursionError):
            return ""


def partial_usage(event: Mapping[str, Any]) -> Partial | None:
    """What an event of a stream says about usage; None where it says nothing."""
    if event.get("type") == "message_delta":
        return anthropic_usage.partial(event.get("usage"))
    message = event.get("message")
    return anthropic_usage.partial(message.get("usage")) if isinstance(message, dict) else None


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text)[:_ERROR_CHARS]


DIALECT: Dialect = Anthropic()

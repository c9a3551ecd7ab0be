# SPDX-License-Identifier: Apache-2.0
"""OpenAI Chat Completions (platform.openai.com/docs/api-reference/chat): the canonical dialect, passed through."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.core.sse import DONE
from apps.providers.dialects.dialect import Dialect, Piece, Whole
from apps.providers.dialects.openai_usage import read_usage

_ERROR_CHARS = 500
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class OpenAI:
    """The dialect as calls without state."""

    name = "openai"

    def path(self, upstream_model: str, *, stream: bool) -> str:
        """One path for both forms."""
        return "/chat/completions"

    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """A bearer credential where the provider wants one."""
        fixed = (("content-type", "application/json"), ("accept-encoding", "identity"))
        return (("authorization", f"Bearer {credential}"), *fixed) if credential else fixed

    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request with the provider's own name of the model; streams always ask for their usage."""
        return _encode(body_of(fields, upstream_model))

    def decode(self, body: bytes) -> Whole:
        """A whole completion; ValueError when it is not one."""
        answer = _object(body)
        choices = _choices(answer)
        reason = str(choices[0].get("finish_reason") or "") if choices else ""
        return Whole(answer, read_usage(answer.get("usage")), reason)

    def decode_event(self, data: bytes) -> Piece:
        """One chunk; ValueError when it is not one."""
        if data == DONE:
            return Piece(done=True)
        chunk = _object(data)
        if "error" in chunk:
            return Piece(error=_message(chunk) or "the provider reported an error")
        _choices(chunk)
        usage = chunk.get("usage")
        return Piece(chunk, read_usage(usage) if usage else None)

    def ends(self, chunk: Mapping[str, Any]) -> bool:
        """Never: the end is told."""
        return False

    def error_text(self, body: bytes) -> str:
        """The message of OpenAI's error shape, cut to a bound."""
        try:
            return _message(_object(body))
        except (msgspec.DecodeError, RecursionError):
            return ""


def body_of(fields: Mapping[str, Any], upstream_model: str) -> dict[str, Any]:
    """The request as an object, with the provider's name of the model and the usage asked for."""
    body = {**fields, "model": upstream_model}
    if body.get("stream") is True:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return body


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise ValueError("no choices")
    for choice in choices:
        if not isinstance(choice, dict):
            raise ValueError("a choice is no object")
    return choices


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    return (
        "".join(char if char.isprintable() else " " for char in text)[:_ERROR_CHARS]
        if isinstance(text, str)
        else ""
    )


DIALECT: Dialect = OpenAI()

# SPDX-License-Identifier: Apache-2.0
"""Gemini generateContent with an API key (ai.google.dev/api/generate-content); the base URL ends in a version."""

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from apps.providers.dialects.dialect import Dialect, Piece, Whole
from apps.providers.dialects.gemini_finish import block_reason, block_text
from apps.providers.dialects.gemini_usage import read_usage

_ERROR_CHARS = 500
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s\Z", re.ASCII)
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder().decode


class Gemini:
    """The dialect as calls without state."""

    name = "gemini"

    def path(self, upstream_model: str, *, stream: bool) -> str:
        """One path for each form; tuned models and the like bring their own collection."""
        name = upstream_model if "/" in upstream_model else f"models/{upstream_model}"
        call = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/{quote(name, safe='/')}:{call}"

    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """The key in Google's own header, never in the address."""
        fixed = (("content-type", "application/json"), ("accept-encoding", "identity"))
        return (("x-goog-api-key", credential), *fixed) if credential else fixed

    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request without what the path says: the model, and whether it streams."""
        return _encode({name: value for name, value in fields.items() if name not in {"model", "stream"}})

    def decode(self, body: bytes) -> Whole:
        """A whole answer; ValueError when it is not one. A refused prompt is an answer without candidates."""
        answer = _object(body)
        candidates = _candidates(answer)
        reason = str(candidates[0].get("finishReason") or "") if candidates else block_reason(answer)
        return Whole(answer, read_usage(answer.get("usageMetadata")), reason)

    def decode_event(self, data: bytes) -> Piece:
        """One event; there is no end mark: the provider closes after the last one."""
        chunk = _object(data)
        if "error" in chunk:
            return Piece(error=_message(chunk) or "the provider reported an error")
        _candidates(chunk)
        return Piece(chunk, read_usage(chunk.get("usageMetadata")))

    def ends(self, chunk: Mapping[str, Any]) -> bool:
        """After the reason why an answer ended, or why there is none, the provider may close."""
        if block_reason(chunk):
            return True
        candidates = chunk.get("candidates") or ()
        return any(candidate.get("finishReason") for candidate in candidates)

    def error_text(self, body: bytes) -> str:
        """The message of Google's error shape, alone or in a list, cut to a bound; else why a prompt was refused."""
        try:
            answer = _object(body)
        except (ValueError, RecursionError):
            return ""
        return _message(answer) or _printable(block_text(answer))


def retry_after(body: bytes) -> str:
    """Whole seconds to wait, which Google tells in the body of an error and not in a header; empty when it does not."""
    try:
        error = _object(body).get("error")
    except (ValueError, RecursionError):
        return ""
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        seconds = _DELAY.match(delay) if isinstance(delay, str) else None
        if seconds:
            return str(math.ceil(float(seconds[1])))
    return ""


def _object(body: bytes) -> dict[str, Any]:
    answer = _any(body)
    if isinstance(answer, list) and len(answer) == 1:
        # Errors of streams asked for without `alt=sse` come in a list.
        answer = answer[0]
    if not isinstance(answer, dict):
        raise ValueError("no object")
    return answer


def _candidates(answer: dict[str, Any]) -> list[dict[str, Any]]:
    candidates = answer.get("candidates")
    if candidates is None:
        if not answer.keys() & {"promptFeedback", "usageMetadata", "modelVersion", "responseId"}:
            raise ValueError("no candidates")
        return []
    if not isinstance(candidates, list) or not all(isinstance(candidate, dict) for candidate in candidates):
        raise ValueError("no candidates")
    return candidates


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    text = error.get("message") or error.get("status") if isinstance(error, dict) else error
    return _printable(text) if isinstance(text, str) else ""


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:_ERROR_CHARS]


DIALECT: Dialect = Gemini()

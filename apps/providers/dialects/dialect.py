# SPDX-License-Identifier: Apache-2.0
"""What a wire dialect offers to those who call providers: requests out, answers and events in."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from apps.providers.domain import Usage
from apps.providers.usage import Partial


class Whole(msgspec.Struct, frozen=True):
    """A JSON answer: the decoded object, and what the provider says it used (None where it does not say)."""

    body: dict[str, Any]
    usage: Usage | None
    finish_reason: str


class Piece(msgspec.Struct, frozen=True):
    """One streamed event: `chunk` is the decoded object, `done` marks the end, `error` a fault told mid-stream.

    A dialect whose events say their usage whole gives `usage`; one that says it in parts gives `part`, and whoever
    reads the stream puts them together with `apps.providers.usage.merge`.
    """

    chunk: dict[str, Any] | None = None
    usage: Usage | None = None
    done: bool = False
    error: str = ""
    part: Partial | None = None


class Dialect(Protocol):
    """The calls of a dialect; none of them does I/O. ValueError means "not in this dialect"."""

    name: str

    def path(self, upstream_model: str, *, stream: bool) -> str:
        """The path below a provider's base URL."""

    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """Headers that carry the credential and say what is sent and wanted."""

    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The body to send for a request in this dialect; what is not known is passed on."""

    def decode(self, body: bytes) -> Whole:
        """A whole JSON answer."""

    def decode_event(self, data: bytes) -> Piece:
        """One event of a stream."""

    def ends(self, chunk: Mapping[str, Any]) -> bool:
        """Whether a provider without an end mark may close its stream after this event."""

    def error_text(self, body: bytes) -> str:
        """What the provider says went wrong, as one short text; empty when it says nothing readable."""

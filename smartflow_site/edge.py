# SPDX-License-Identifier: Apache-2.0
"""The guard below ASGI: bounds on heads, silence and unread answers that uvicorn leaves open.

It also tells the application at once when a client is gone, through `scope["extensions"]["smartflow.gone"]`:
a list into which the application puts callbacks. Without this guard an application watches `receive` instead.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.core import ids
from apps.core.errors import TABLE, openai_body
from apps.core.limits import HEAD_SECONDS, MAX_HEAD_BYTES, MAX_HEADERS, SILENT_SECONDS, UNREAD_SECONDS

GONE = "smartflow.gone"
_VERSIONS = {"1.0", "1.1"}
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class _HeadSizeError(Exception):
    """The head grew past its bound; raised inside the parser to stop it."""


class _VersionError(Exception):
    """The request speaks another version of HTTP; raised inside the parser to stop it."""


class _Cork:
    """A transport that makes one write of all that is written in one turn of the loop: head and body in one packet."""

    __slots__ = ("_loop", "_out", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._out: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take data for this turn's write."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def close(self) -> None:
        """Close after what was written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the transport is closed or about to be."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bounded head, a deadline for it, and one for clients that never read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._header_count = 0
        self._url_and_headers = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._gone: list[Callable[[], None]] = []

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", _Cork(transport, self.loop)))
        self._head_timer = self.loop.call_later(SILENT_SECONDS, self._silent)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)
        callbacks, self._gone = self._gone, []
        for callback in callbacks:
            callback()

    @override
    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._in_head:
            if self._head_bytes == 0:
                self._stop_head_timer()
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._slow_head)
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(
                "invalid_request", 400, "This server speaks plain HTTP/1.1; do not ask for an upgrade."
            )
        except httptools.HttpParserCallbackError as fault:
            if isinstance(fault.__context__, _HeadSizeError):
                self._too_large()
            elif isinstance(fault.__context__, _VersionError):
                self._refuse(
                    "invalid_request", 400, "This server speaks HTTP/1.1, and HTTP/1.0 to those who ask so."
                )
            else:
                self._refuse("invalid_request", 400, "The request line cannot be read.")
        except httptools.HttpParserError:
            self._refuse("invalid_request", 400, "This is not a valid HTTP/1.1 request.")
        else:
            if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
                self._too_large()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._header_count, self._url_and_headers = True, 0, 0
        self.scope["extensions"] = cast("Any", {GONE: self._gone})

    @override
    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_count += 1
        self._count(len(name) + len(value) + 4)

    @override
    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._stop_head_timer()
        # A bare `GET /` is HTTP/0.9, whose answers have no head; HTTP/2 never comes in this form.
        if self.parser.get_http_version() not in _VERSIONS:
            raise _VersionError
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._unread)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def _count(self, size: int) -> None:
        self._url_and_headers += size
        if self._url_and_headers > MAX_HEAD_BYTES or self._header_count > MAX_HEADERS:
            raise _HeadSizeError

    def _too_large(self) -> None:
        self._refuse(
            "headers_too_large", 431, f"The request head is larger than {MAX_HEAD_BYTES // 1024} KB."
        )

    def _refuse(self, code: str, status: int, message: str) -> None:
        """Answer with an error and close, unless an answer is already on its way."""
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not busy:
            body = openai_body(code, f"{message} {TABLE[code].remedy}")
            head = (
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"x-request-id: %s\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head % (status, _REASONS[status], len(body), ids.new("req").encode()) + body)
        self.transport.close()

    def _silent(self) -> None:
        """Nothing came at all: nobody waits for an answer."""
        self._head_timer = None
        self.transport.close()

    def _slow_head(self) -> None:
        self._head_timer = None
        self._refuse("request_timeout", 408, f"The request head did not arrive within {HEAD_SECONDS:.0f} s.")

    def _unread(self) -> None:
        self._unread_timer = None
        self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

# SPDX-License-Identifier: Apache-2.0
"""The bytes of one answer: its headers, a body or a stream of events, and errors in the client's dialect."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

from apps.core.outcome import Refuse
from apps.gateway.exchange import Exchange
from apps.gateway.stream import Stream
from apps.gateway.under_way import Handle

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Answer:
    """Sends one answer, once."""

    def __init__(self, send: Send, exchange: Exchange, extra: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send, self._exchange, self._extra = send, exchange, extra
        self._started = self._ended = False

    async def whole(
        self,
        status: int,
        body: bytes,
        kind: bytes = b"application/json",
        more: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """A whole answer, JSON unless its kind says otherwise, with all our headers."""
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *more]
        _add_figures(self._exchange, headers)
        await self._start(status, headers)
        await self._last(body)

    async def refuse(self, refusal: Refuse) -> None:
        """An error answer, or an error event where a stream already began."""
        if self._started:
            await self.end(refusal)
            return
        body = self._exchange.surface.error(refusal, self._exchange.record.id)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in refusal.headers]
        await self._start(refusal.status, headers)
        await self._last(body)

    async def stream(self, reply: Stream, handle: Handle) -> None:
        """Events as they come."""
        await self._start(
            200,
            [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ],
        )
        handle.spoke_at = monotonic()
        handle.whisper = self._whisper
        events = reply.events()
        try:
            async for block in events:
                handle.spoke_at = monotonic()
                await self._send({"type": "http.response.body", "body": block, "more_body": True})
        finally:
            handle.whisper = None
            # Closed here and now: what the stream holds must not wait for the collector.
            await events.aclose()  # type: ignore[attr-defined]  # it is an async generator
        await self._last(b"")

    async def end(self, refusal: Refuse) -> None:
        """End an answer that must stop: with an error of its own, or an error event in a stream."""
        if not self._started:
            await self.refuse(refusal)
        elif not self._ended:
            await self._last(self._exchange.surface.error_event(refusal, self._exchange.record.id))

    def _whisper(self) -> None:
        said = self._exchange.surface.keep_alive
        if not said:
            return
        message = {"type": "http.response.body", "body": said, "more_body": True}
        task = asyncio.ensure_future(self._send(message))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._started = True
        admission = self._exchange.admission
        if admission is not None:
            headers += admission.headers
        _add_facts(self._exchange, headers)
        headers += self._extra
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _last(self, body: bytes) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            await self._send({"type": "http.response.body", "body": body})


def _add_facts(exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
    """Headers that every data-plane answer carries."""
    record = exchange.record
    headers.append((b"x-request-id", record.id.encode()))
    if record.target:
        headers.append((b"x-smartflow-target", _ascii(record.target)))
    if record.model:
        headers.append((b"x-smartflow-model", _ascii(record.model)))
    if record.phases:
        headers.append((b"x-smartflow-cache-hit", record.cache_hit.encode() or b"none"))
    if record.cache_key:
        headers.append((b"x-smartflow-cache-key", record.cache_key.encode()))
    if exchange.dropped:
        headers.append((b"x-smartflow-dropped", _ascii(", ".join(exchange.dropped))))
    if record.bundle:
        acted = [f"{e.name} v{e.version}={e.action}" for e in record.evaluations if e.action != "allow"]
        headers.append((b"x-smartflow-policy", _ascii(", ".join(acted)) if acted else b"none"))


def _add_figures(exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
    record = exchange.record
    if exchange.request is not None:
        overhead = max(0, record.total_us - record.upstream_us)
        headers.append((b"x-smartflow-cost", f"{record.cost:f}".encode()))
        headers.append((b"x-smartflow-overhead-ms", b"%d.%03d" % divmod(overhead, 1000)))


@functools.lru_cache(maxsize=4096)
def _ascii(text: str) -> bytes:
    """A name as a header can carry it; the same few names come with every request."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:500].encode()

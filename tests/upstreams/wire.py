# SPDX-License-Identifier: Apache-2.0
"""What the upstreams share: connections, the log, and how an answer goes out as its script says.

An upstream tells at `GET /_stats` which connections are open, and keeps a log of its own, one JSON line per request,
that tests use as an oracle: what it says was sent is independent of our tables.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl

import httptools
import uvloop
from typing_extensions import override

from tests.upstreams.script import PLAIN, Script

_REASONS = {
    200: b"OK",
    302: b"Found",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    429: b"Too Many Requests",
}
_LINGER_ZERO = struct.pack("ii", 1, 0)
# What the log tells of a request's headers; never a credential.
_LOGGED = ("anthropic-version", "anthropic-beta", "content-type", "user-agent", "x-goog-api-client")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """What a provider says to a request: a JSON body, or events."""

    script: Script = PLAIN
    model: str = ""
    stream: bool = False
    status: int = 200
    body: bytes = b""
    events: Iterator[bytes] | None = None
    broken: bytes = b""  # the provider's own error event
    last: bytes = b""  # the event after all events
    headers: dict[str, str] = field(default_factory=dict)
    problem: str = ""  # why a request was turned down


class Speaker(Protocol):
    """One provider's dialect."""

    def answer(self, request: Request) -> Reply:
        """What the provider says."""


class Book:
    """What the server knows of itself, and its log; one line is one `write`, so lines never mix."""

    def __init__(self, speaker: Speaker, log: Path | None, *, bodies: bool = False) -> None:
        self.speaker, self.bodies = speaker, bodies
        self.connections: set[Connection] = set()
        self.accepted = self.requests = self.completed = self.answering = 0
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._log = os.open(log, flags, 0o600) if log is not None else -1

    def stats(self, asking: "Connection") -> bytes:
        """The counters as JSON; the connection that asks is not counted as open."""
        return json.dumps(
            {
                "connections": len(self.connections - {asking}),
                "accepted": self.accepted,
                "requests": self.requests,
                "completed": self.completed,
                "answering": self.answering,
            }
        ).encode()

    def note(self, line: dict[str, Any]) -> None:
        """Add a line to the log."""
        if self._log >= 0:
            os.write(self._log, json.dumps(line).encode() + b"\n")


class Connection(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = asyncio.Event()
        self.url, self.body = b"", bytearray()
        self.headers: dict[str, str] = {}
        self.waiting: list[Request] = []
        self.task: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.book.connections.add(self)
        self.book.accepted += 1

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.book.connections.discard(self)
        self.lost.set()
        self.writable.set()
        if self.task is not None:
            self.task.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    @override
    def pause_writing(self) -> None:
        self.writable.clear()

    @override
    def resume_writing(self) -> None:
        self.writable.set()

    # What httptools calls.
    def on_message_begin(self) -> None:
        """A new request begins."""
        self.url, self.body, self.headers = b"", bytearray(), {}

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; of equal names the last counts."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The request is whole: answer it after those before it."""
        method = self.parser.get_method().decode()
        self.waiting.append(request_of(method, self.url, self.headers, bytes(self.body)))
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._answer_all())

    async def _answer_all(self) -> None:
        while self.waiting and not self.lost.is_set():
            await Exchange(self, self.waiting.pop(0)).run()


class Exchange:
    """One request and what is sent for it."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection, self.book, self.request = connection, connection.book, request
        self.sent_bytes = self.sent_events = 0
        self.reply, self.script = Reply(), PLAIN

    async def run(self) -> None:
        """Answer, and note in the log how far that went."""
        if self.request.path == "/_stats":
            self.connection.transport.write(head(200) + sized(self.book.stats(self.connection)))
            return
        self.book.requests += 1
        self.book.answering += 1
        completed = False
        try:
            completed = await self._answer() and not self.connection.lost.is_set()
        finally:
            self.book.answering -= 1
            self.book.completed += completed
            self.book.note(self._line(completed))

    def _line(self, completed: bool) -> dict[str, Any]:
        reply = self.reply
        line = {
            "request_id": self.request.headers.get("x-request-id", ""),
            "model": reply.model,
            "stream": reply.stream,
            "status": reply.status,
            "completed": completed,
            "events": self.sent_events,
            "bytes": self.sent_bytes,
        }
        if self.book.bodies:
            line |= {"path": self.request.path, "query": sorted(self.request.query), "problem": reply.problem}
            line["headers"] = {n: self.request.headers[n] for n in _LOGGED if n in self.request.headers}
            line["body"] = self.request.body.decode(errors="replace")
        return line

    async def _answer(self) -> bool:
        """Whether everything that belongs to the answer was sent."""
        reply = self.reply = self.book.speaker.answer(self.request)
        script = self.script = reply.script
        await pause(script.first)
        if script.raw:
            await self._send(script.raw.encode("latin-1"))
            return self._close()
        if reply.status != 200:
            return await self._send(head(reply.status, script, more=reply.headers) + sized(reply.body))
        if reply.events is not None:
            return await self._stream(reply, reply.events)
        return await self._json(reply.body)

    async def _json(self, body: bytes) -> bool:
        script = self.script
        if script.chunked or script.close:
            start = head(200, script, more=self.reply.headers) + (
                b"\r\n" if script.close else b"transfer-encoding: chunked\r\n\r\n"
            )
            payload = body if script.close else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            start, payload = head(200, script, more=self.reply.headers), sized(body)
        if script.cut >= 0:
            await self._send(start + payload[: len(payload) - len(body) // 2])
            return self._close()
        complete = await self._send(start + payload)
        if script.close:
            self._close()
        return complete

    async def _stream(self, reply: Reply, events: Iterator[bytes]) -> bool:
        script = self.script
        framing = b"\r\n" if script.close else b"transfer-encoding: chunked\r\n\r\n"
        await self._send(head(200, script, b"text/event-stream", reply.headers) + framing)
        broken = False
        for number, event in enumerate(events):
            if number == script.cut:
                return self._close()
            if number == script.broken:
                broken = True
                await self._event(reply.broken)
                break
            if number and script.gap:
                await pause(script.gap)
            if not await self._event(event):
                return False
            if script.fault and number == 1:
                await self._event(sse(script, script.fault))
        await pause(script.last)
        if reply.last and not broken:
            await self._event(reply.last)
        if script.close:
            return self._close() or not self.connection.lost.is_set()
        return await self._send(b"0\r\n\r\n")

    async def _event(self, event: bytes) -> bool:
        sent = await self._send(event if self.script.close else b"%x\r\n%b\r\n" % (len(event), event))
        self.sent_events += sent
        return sent

    async def _send(self, data: bytes) -> bool:
        """Write with back-pressure; False once the peer is gone."""
        step = self.script.drip or len(data)
        for at in range(0, len(data), step):
            await self.connection.writable.wait()
            if self.connection.lost.is_set():
                return False
            piece = data[at : at + step]
            self.connection.transport.write(piece)
            self.sent_bytes += len(piece)
            if self.script.drip:
                await asyncio.sleep(0)
        return True

    def _close(self) -> bool:
        """End the connection, politely or by a reset; never a complete answer."""
        transport = self.connection.transport
        if self.script.reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            transport.abort()
        else:
            transport.close()
        return False


def sse(script: Script, payload: str, name: str = "") -> bytes:
    """One event on the wire; `name` is what a dialect with named events puts before the data."""
    end = "\r\n" if script.crlf else "\n"
    comment = f": still here{end}{end}" if script.comments else ""
    named = f"event: {name}{end}" if name else ""
    return f"{comment}{named}data: {payload}{end}{end}".encode()


def head(
    status: int,
    script: Script = PLAIN,
    kind: bytes = b"application/json",
    more: dict[str, str] | None = None,
) -> bytes:
    """Status line and headers, without what says how long the body is."""
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Status")), b"content-type: " + kind]
    lines.append(b"x-upstream: yes")
    lines += [f"{name}: {value}".encode() for name, value in (more or {}).items()]
    if script.retry:
        lines.append(b"retry-after: " + script.retry.encode())
    if script.location:
        lines.append(b"location: " + script.location.encode())
    if script.close:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n"


def sized(body: bytes) -> bytes:
    """The end of a head for a body of known length, and the body."""
    return b"content-length: %d\r\n\r\n%b" % (len(body), body)


async def pause(milliseconds: float) -> None:
    """Wait, if there is anything to wait for."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)


def request_of(method: str, url: bytes, headers: dict[str, str], body: bytes) -> Request:
    """A request from its parts."""
    target = httptools.parse_url(url)
    query = dict(parse_qsl((target.query or b"").decode(), keep_blank_values=True))
    return Request(method, target.path.decode(), query, headers, body)


async def serve(
    speaker: Speaker,
    port: int,
    log: Path | None,
    tls: tuple[Path, Path] | None = None,
    *,
    bodies: bool = False,
) -> asyncio.Server:
    """A listening server on loopback; port 0 picks a free one."""
    book, context = Book(speaker, log, bodies=bodies), None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(book), "127.0.0.1", port, ssl=context, backlog=2048)


async def _main(speaker: Speaker, options: argparse.Namespace) -> None:
    tls = (options.certificate, options.key) if options.certificate else None
    server = await serve(speaker, options.port, options.log, tls, bodies=options.bodies)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def arguments(name: str, about: str | None) -> argparse.ArgumentParser:
    """The options of every upstream."""
    parser = argparse.ArgumentParser(prog=f"tests.upstreams.{name}", description=about)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append one JSON line per request here")
    parser.add_argument("--bodies", action="store_true", help="the log has the requests' bodies too")
    parser.add_argument("--certificate", type=Path, help="serve TLS with this PEM certificate")
    parser.add_argument("--key", type=Path, help="the certificate's PEM key")
    return parser


def run(speaker: Speaker, options: argparse.Namespace) -> None:
    """Serve until a signal comes; the first line on stdout is `listening PORT`."""
    uvloop.run(_main(speaker, options))

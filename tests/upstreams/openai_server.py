# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-speaking upstream on a raw socket: `python -m tests.upstreams.openai_server --log FILE`.

It behaves as `script.py` says, tells at `GET /_stats` which connections are open, and keeps a log of its own,
one JSON line per request, that tests use as an oracle: what it says was sent is independent of our tables.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import ssl
import struct
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop
from typing_extensions import override

from tests.upstreams import answers
from tests.upstreams.script import PLAIN, Script, ScriptError, script_of

_REASONS = {200: b"OK", 302: b"Found", 400: b"Bad Request", 404: b"Not Found", 429: b"Too Many Requests"}
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Book:
    """What the server knows of itself, and its log; one line is one `write`, so lines never mix."""

    def __init__(self, log: Path | None) -> None:
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
        self.waiting: list[tuple[bytes, dict[str, str], bytes]] = []
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
        self.waiting.append((self.url, self.headers, bytes(self.body)))
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._answer_all())

    async def _answer_all(self) -> None:
        while self.waiting and not self.lost.is_set():
            await Exchange(self, *self.waiting.pop(0)).run()


class Exchange:
    """One request and what is sent for it."""

    def __init__(self, connection: Connection, url: bytes, headers: dict[str, str], body: bytes) -> None:
        self.connection, self.book = connection, connection.book
        self.path = httptools.parse_url(url).path.decode()
        self.headers, self.body = headers, body
        self.sent_bytes = self.sent_events = 0
        self.script, self.stream, self.model, self.status = PLAIN, False, "", 200

    async def run(self) -> None:
        """Answer, and note in the log how far that went."""
        if self.path == "/_stats":
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
            self.book.note(
                {
                    "request_id": self.headers.get("x-request-id", ""),
                    "model": self.model,
                    "stream": self.stream,
                    "status": self.status,
                    "completed": completed,
                    "events": self.sent_events,
                    "bytes": self.sent_bytes,
                }
            )

    async def _answer(self) -> bool:
        """Whether everything that belongs to the answer was sent."""
        if self.path.endswith("/models"):
            return await self._send(head(200) + sized(b'{"object":"list","data":[]}'))
        try:
            asked = answers.Asked(self.body)
            self.model, self.stream = asked.model, asked.stream
            self.script = script_of(asked.model, asked.prompt)
        except (ValueError, AttributeError, TypeError) as fault:
            self.status = 404 if isinstance(fault, ScriptError) else 400
            return await self._send(head(self.status) + sized(json.dumps({"error": str(fault)}).encode()))
        script = self.script
        self.status = script.status
        await pause(script.first)
        if script.raw:
            await self._send(script.raw.encode("latin-1"))
            return self._close()
        if script.status != 200:
            return await self._send(head(script.status, script) + sized(answers.error(script.status)))
        text = answers.text_of(script, asked, self.headers)
        if asked.stream:
            return await self._stream(asked, text)
        return await self._json(answers.whole(script, asked, text))

    async def _json(self, body: bytes) -> bool:
        script = self.script
        if script.chunked or script.close:
            start = head(200, script) + (b"\r\n" if script.close else b"transfer-encoding: chunked\r\n\r\n")
            payload = body if script.close else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            start, payload = head(200, script), sized(body)
        if script.cut >= 0:
            await self._send(start + payload[: len(payload) - len(body) // 2])
            return self._close()
        complete = await self._send(start + payload)
        if script.close:
            self._close()
        return complete

    async def _stream(self, asked: answers.Asked, text: str) -> bool:
        script = self.script
        framing = b"\r\n" if script.close else b"transfer-encoding: chunked\r\n\r\n"
        await self._send(head(200, script, b"text/event-stream") + framing)
        for number, event in enumerate(answers.events(script, asked, text)):
            if number == script.cut:
                return self._close()
            if number and script.gap:
                await pause(script.gap)
            if not await self._event(event):
                return False
            if script.fault and number == 1:
                await self._event(answers.frame(script, script.fault))
        await pause(script.last)
        if script.done:
            await self._event(answers.frame(script, "[DONE]"))
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


def head(status: int, script: Script = PLAIN, kind: bytes = b"application/json") -> bytes:
    """Status line and headers, without what says how long the body is."""
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Status")), b"content-type: " + kind]
    lines.append(b"x-upstream: yes")
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


async def serve(port: int, log: Path | None, tls: tuple[Path, Path] | None = None) -> asyncio.Server:
    """A listening server on loopback; port 0 picks a free one."""
    book, context = Book(log), None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(book), "127.0.0.1", port, ssl=context, backlog=2048)


async def _main(options: argparse.Namespace) -> None:
    tls = (options.certificate, options.key) if options.certificate else None
    server = await serve(options.port, options.log, tls)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def main() -> None:
    """Serve until a signal comes; the first line on stdout is `listening PORT`."""
    parser = argparse.ArgumentParser(prog="tests.upstreams.openai_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append one JSON line per request here")
    parser.add_argument("--certificate", type=Path, help="serve TLS with this PEM certificate")
    parser.add_argument("--key", type=Path, help="the certificate's PEM key")
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()

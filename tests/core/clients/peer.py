# SPDX-License-Identifier: Apache-2.0
"""A server that sends exactly the bytes a test gives it, and knows how many connections are open."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from apps.core.http import Call


@dataclass
class Request:
    """What the peer read: the head, the body, and the number of its connection."""

    head: bytes
    body: bytes
    connection: int

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        for line in self.head.split(b"\r\n")[1:]:
            given, _, value = line.partition(b": ")
            if given.decode().lower() == name:
                return value.decode()
        return ""


Answering = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool | None]]


@dataclass
class Peer:
    """The peer's address and what it has seen."""

    port: int = 0
    host: str = "127.0.0.1"
    scheme: str = "http"
    accepted: int = 0
    open: int = 0
    requests: list[Request] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """A URL on this peer."""
        return f"{self.scheme}://{self.host}:{self.port}/v1/x?y=1"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; a test that waits in vain ends by its own time limit."""
        while not condition():
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def peer(
    answering: Answering, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, name: str = ""
) -> AsyncIterator[Peer]:
    """Serve with a function that is called per request; it returns True to keep the connection."""
    this = Peer(host=name or (f"[{host}]" if ":" in host else host), scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this.accepted += 1
        this.open += 1
        number = this.accepted
        this.writers.add(writer)
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = Request(head, b"", number)
                if request.header("x-leave-body") == "":
                    request.body = await reader.readexactly(int(request.header("content-length") or 0))
                this.requests.append(request)
                if not await answering(request, reader, writer):
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass  # the other side went away, or the test is over
        finally:
            this.open -= 1
            this.writers.discard(writer)
            writer.close()
            tasks.discard(asyncio.current_task())

    server = await asyncio.start_server(connected, host, 0, ssl=tls, limit=2**22)
    this.port = server.sockets[0].getsockname()[1]
    try:
        yield this
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def says(*pieces: bytes, keep: bool = False, hold: bool = False) -> Answering:
    """Send pieces with a turn of the loop between them, then keep the connection, hold it open, or close it."""

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if hold:
            await reader.read(1)
        return keep

    return answering


def call(url: str, **changes: object) -> Call:
    """A call with patience for a busy machine."""
    values: dict[str, object] = {
        "url": url,
        "headers": (("content-type", "application/json"), ("authorization", "Bearer sk-test")),
        "body": b"{}",
        "connect": 20.0,
        "silence": 20.0,
        "total": 40.0,
        "private_allowed": True,
    }
    return Call(**{**values, **changes})  # type: ignore[arg-type]


def whole(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with a length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """An answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + body + b"0\r\n" + trailer + b"\r\n"

# SPDX-License-Identifier: Apache-2.0
"""One connection to a provider and the answer that is read from it.

A connection carries one exchange at a time. It tells its answer what arrives; the answer wakes the one coroutine that
waits for it, keeps the time, and gives the connection back the moment its message has ended, or drops it.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from typing import cast

from typing_extensions import override

from apps.core.http import CallError
from apps.core.http1_parse import Malformed, Reader
from apps.core.limits import MAX_ANSWER_BYTES

HIGH_WATER = 256 * 1024
_ONE_WRITE = 64 * 1024
_SLICE = 256 * 1024


class Connection(asyncio.Protocol):
    """One socket; tells its owner when it is free for another exchange and when it is lost."""

    def __init__(
        self, on_free: "Callable[[Connection], None]", on_lost: "Callable[[Connection], None]"
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._answer: Answer | None = None
        self._on_free, self._on_lost = on_free, on_lost
        self._out: memoryview | None = None
        self._full = False
        self._paused = False
        self.idle_since = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the ancestry.
        self._transport = cast("asyncio.Transport", transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    @override
    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            # Nobody asked: what comes now must never be read as the answer to the next request.
            self.abort()
        else:
            answer.arrived(data)

    @override
    def eof_received(self) -> None:
        answer = self._answer
        if answer is not None:
            answer.ended()
        self.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._poll = self._out = None
        answer = self._answer
        if answer is not None:
            answer.ended(clean=exc is None)
        self._on_lost(self)

    @override
    def pause_writing(self) -> None:
        self._full = True

    @override
    def resume_writing(self) -> None:
        self._full = False
        if self._answer is not None:
            self._answer.heard = self._loop.time()
        self._pump()

    @property
    def open(self) -> bool:
        """Whether the socket is still there."""
        return self._transport is not None

    def quiet(self) -> bool:
        """Whether an idle connection is open and has nothing unread, asked of the system itself."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._poll is None:
            return False
        return not self._poll.poll(0)

    def ask(self, answer: "Answer", head: bytes, body: bytes) -> None:
        """Send a request; `answer` gets what comes back."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise CallError("cut", "the connection was closed")
        self._answer = answer
        if len(body) <= _ONE_WRITE:
            transport.write(head + body)
        else:
            transport.write(head)
            self._out = memoryview(body)
            self._pump()

    def pause(self) -> None:
        """Read no more for the moment."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def finish(self, *, reusable: bool) -> None:
        """The exchange is over: free for the next one, or dropped."""
        self._answer = None
        transport = self._transport
        if not reusable or transport is None or transport.is_closing() or self._unfinished(transport):
            self.abort()
        else:
            self._on_free(self)

    def abort(self) -> None:
        """Drop the socket at once."""
        self._out = None
        if self._transport is not None:
            self._transport.abort()

    def _unfinished(self, transport: asyncio.Transport) -> bool:
        # Paused: TLS may hold bytes that nobody can see. Unsent: what is left could be read as another request.
        return self._paused or self._out is not None or transport.get_write_buffer_size() > 0

    def _pump(self) -> None:
        transport = self._transport
        while self._out is not None and transport is not None and not self._full:
            out, size = self._out, len(self._out)
            self._out = out[_SLICE:] if size > _SLICE else None
            transport.write(out[:_SLICE])


class Answer:
    """What comes back for one request: the `Incoming` of this client."""

    __slots__ = (
        "_connection",
        "_fault",
        "_loop",
        "_reader",
        "_silence",
        "_timer",
        "_total_at",
        "_waiter",
        "_want",
        "heard",
        "status",
    )

    def __init__(self, connection: Connection, method: str, silence: float, total_at: float | None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._connection: Connection | None = connection
        self._reader = Reader(method)
        self._fault: CallError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._silence, self._total_at = silence, total_at
        # How many bytes of the body must be there before the waiting coroutine is woken; -1 is the head.
        self._want = -1
        self.heard = loop.time()
        self.status = 0
        self._timer: asyncio.TimerHandle | None = loop.call_at(self._due(), self._tick)

    @property
    def untouched(self) -> bool:
        """Whether the call failed before a single byte came back."""
        return self._fault is not None and not self._reader.started

    async def head(self) -> None:
        """Wait for the status and the headers; CallError says why there are none."""
        reader = self._reader
        while not reader.framed and self._fault is None:
            await self._wait()
        if not reader.framed and self._fault is not None:
            raise self._fault
        self.status = reader.status

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        return self._reader.headers.get(name.lower().encode(), b"").decode(errors="surrogateescape")

    async def read(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """The whole body; CallError past the limit, the deadline or a cut."""
        reader = self._reader
        self._want = limit + 1
        while not reader.complete and self._fault is None and max(reader.buffered, reader.expected) <= limit:
            self._resume()
            await self._wait()
        if max(reader.buffered, reader.expected) > limit:
            self.close()
            raise CallError("too_large", f"the answer is longer than {limit} bytes")
        if self._fault is not None:
            raise self._fault
        return reader.take()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; CallError when it is cut or falls silent."""
        reader = self._reader
        self._want = 1
        try:
            while True:
                if reader.buffered:
                    data = reader.take()
                    self._resume()
                    yield data
                elif self._fault is not None:
                    raise self._fault
                elif reader.complete:
                    return
                else:
                    await self._wait()
        finally:
            self.close()

    def close(self) -> None:
        """Drop what is still to come together with its connection."""
        if self._connection is not None:
            self._fail(CallError("cut", "the call was given up"))

    def arrived(self, data: bytes) -> None:
        """Bytes of this answer."""
        reader = self._reader
        self.heard = self._loop.time()
        try:
            reader.feed(data)
        except Malformed as fault:
            self._fail(CallError("cut", str(fault)))
            return
        if reader.complete:
            self._let_go(reusable=reader.reusable)
        elif reader.buffered > HIGH_WATER and reader.buffered > self._want and self._connection is not None:
            self._connection.pause()
        if self._waiter is not None and (
            reader.complete or (reader.framed if self._want < 0 else reader.buffered >= self._want)
        ):
            self._wake()

    def ended(self, *, clean: bool = True) -> None:
        """The peer will send no more."""
        try:
            if not clean:
                raise Malformed("the connection broke")
            self._reader.eof()
        except Malformed as fault:
            self._fail(CallError("cut", str(fault)))
        else:
            self._let_go(reusable=False)
            self._wake()

    def _resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    async def _wait(self) -> None:
        """Until there is something to look at; whoever stops waiting gives the call up."""
        if self._waiter is not None:
            raise RuntimeError("an answer has one reader")
        self._waiter = self._loop.create_future()
        self.heard = self._loop.time()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, fault: CallError) -> None:
        if self._fault is None and not self._reader.complete:
            self._fault = fault
        self._reader.forget()
        self._let_go(reusable=False)
        self._wake()

    def _let_go(self, *, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if connection is not None:
            connection.finish(reusable=reusable)

    def _due(self) -> float:
        since = self.heard if self._waiter is not None else self._loop.time()
        due = since + self._silence
        return due if self._total_at is None else min(due, self._total_at)

    def _tick(self) -> None:
        now = self._loop.time()
        over = self._total_at is not None and now >= self._total_at
        if over or (self._waiter is not None and now >= self.heard + self._silence):
            self._fail(CallError("timeout", "the provider did not answer in time"))
        else:
            self._timer = self._loop.call_at(self._due(), self._tick)

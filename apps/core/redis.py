# SPDX-License-Identifier: Apache-2.0
"""The hot path's Redis client: one connection per process, every command of a loop tick in one write.

RESP2 (redis.io/docs/reference/protocol-spec) is packed and parsed by hiredis. A command never waits for a
connection: while there is none it fails at once, so that a caller can choose what to do without Redis.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis
from typing_extensions import override

from apps.core.limits import MAX_REDIS_PENDING, REDIS_SECONDS

Argument = bytes | str | int
UNUSABLE = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "OOM", "MISCONF", "BUSY")
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0)


class RedisDown(Exception):  # noqa: N818 - a state of the world, not a defect
    """Redis did not answer in time or cannot be reached; the command may or may not have run."""


class Script:
    """A Lua script; its digest is learnt from the server, its text sent again when the server forgot it."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = b""


class _Connection(asyncio.Protocol):
    """One socket: packs, writes once per tick, and resolves answers in order."""

    def __init__(
        self, on_lost: "Callable[[_Connection], None]", on_push: Callable[[bytes, bytes], None] | None
    ) -> None:
        self._reader = hiredis.Reader()
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._on_lost = on_lost
        self._on_push = on_push
        self.batches = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the ancestry.
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                self._answer(answer)
        except hiredis.ProtocolError:
            self.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        while self._pending:
            future, _ = self._pending.popleft()
            _fail(future, RedisDown("the connection was lost"))
        self._on_lost(self)

    def command(self, args: tuple[Argument, ...]) -> "asyncio.Future[Any]":
        """Queue a command for this tick's write; the future is its answer."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None or len(self._pending) >= MAX_REDIS_PENDING:
            _fail(future, RedisDown("Redis is not reachable"))
            return future
        self._pending.append((future, monotonic() + REDIS_SECONDS))
        self.send(args)
        return future

    def send(self, args: tuple[Argument, ...]) -> None:
        """Queue a command whose answers are pushes."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(args))  # type: ignore[arg-type]  # its stub asks for one element

    def overdue(self) -> bool:
        """Whether the oldest command has waited too long."""
        return bool(self._pending) and self._pending[0][1] < monotonic()

    def close(self) -> None:
        """Drop the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
            self.batches += 1
        self._out.clear()

    def _answer(self, answer: Any) -> None:
        if self._on_push is not None and isinstance(answer, list) and answer[0] in {b"message", b"subscribe"}:
            self._on_push(answer[0], answer[2] if answer[0] == b"message" else b"")
            return
        if not self._pending:
            return
        future, _ = self._pending.popleft()
        if isinstance(answer, hiredis.ReplyError):
            # A server that loads its file or lost its primary is as good as none.
            gone = str(answer).startswith(UNUSABLE)
            _fail(future, RedisDown("Redis cannot serve at the moment") if gone else answer)
        elif not future.done():
            future.set_result(answer)


def _fail(future: "asyncio.Future[Any]", fault: Exception) -> None:
    """Fail a future whose owner may have gone away meanwhile."""
    if not future.done():
        future.set_exception(fault)
        future.exception()


class Redis:
    """A connection that is kept up: scripts are loaded and `on_up` is called after every connect."""

    def __init__(
        self,
        url: str,
        *,
        scripts: Sequence[Script] = (),
        channel: str = "",
        on_message: Callable[[bytes], None] | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 6379
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._database = int(parts.path.strip("/") or 0)
        self._tls = ssl.create_default_context() if parts.scheme == "rediss" else None
        self._scripts = tuple(scripts)
        self._channel, self._on_message = channel, on_message
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.on_up: Callable[[], None] = lambda: None
        self.up = False
        self._batches = 0

    @override
    def __repr__(self) -> str:
        return f"Redis({self._host}:{self._port}, up={self.up})"

    @property
    def batches(self) -> int:
        """How many writes were made: round trips, counted for the tests that bound them."""
        return self._batches + (self._connection.batches if self._connection else 0)

    async def start(self) -> bool:
        """Begin to keep the connection up; True when the first try succeeded."""
        connected = await self._connect()
        self._keeper = asyncio.create_task(self._keep())
        return connected

    async def stop(self) -> None:
        """Give the connection up for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
            # The transport closes its socket in the next tick.
            await asyncio.sleep(0)
        self.up = False

    def command(self, *args: Argument) -> "asyncio.Future[Any]":
        """Send a command with this tick's others; RedisDown or hiredis.ReplyError comes through the future."""
        connection = self._connection
        if connection is None or not self.up:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            _fail(future, RedisDown("Redis is not reachable"))
            return future
        return connection.command(args)

    async def script(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        """Run a script by its digest; a server that forgot it gets its text."""
        try:
            return await self.command("EVALSHA", script.sha, len(keys), *keys, *args)
        except hiredis.ReplyError as fault:
            if not str(fault).startswith("NOSCRIPT"):
                raise
            return await self.command("EVAL", script.source, len(keys), *keys, *args)

    async def _keep(self) -> None:
        failures = 0
        while True:
            if not self.up:
                if await self._connect():
                    failures = 0
                else:
                    failures += 1
                    await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF)) - 1])
                continue
            try:
                await asyncio.wait_for(self._lost.wait(), REDIS_SECONDS / 4)
            except TimeoutError:
                if self._connection is not None and self._connection.overdue():
                    self._connection.close()

    async def _connect(self) -> bool:
        self._lost.clear()
        loop = asyncio.get_running_loop()
        push = self._pushed if self._channel else None
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._dropped, push), self._host, self._port, ssl=self._tls
                )
                await self._introduce(connection)
        except (OSError, TimeoutError, RedisDown, hiredis.ReplyError):
            if connection is not None:
                connection.close()
            return False
        self._connection, self.up = connection, True
        if self._channel:
            connection.send(("SUBSCRIBE", self._channel))
        else:
            self.on_up()
        return True

    async def _introduce(self, connection: _Connection) -> None:
        first: list[asyncio.Future[Any]] = []
        if self._password:
            words = (self._user, self._password) if self._user else (self._password,)
            first.append(connection.command(("AUTH", *words)))
        if self._database:
            first.append(connection.command(("SELECT", self._database)))
        loads = [connection.command(("SCRIPT", "LOAD", script.source)) for script in self._scripts]
        await asyncio.gather(*first)
        for script, sha in zip(self._scripts, await asyncio.gather(*loads), strict=True):
            script.sha = sha
        if not first and not loads:
            await connection.command(("PING",))

    def _dropped(self, connection: _Connection) -> None:
        self._batches += connection.batches
        # One that was given up while it was introduced says nothing about the one in use.
        if connection is self._connection:
            self._connection, self.up = None, False
            self._lost.set()

    def _pushed(self, kind: bytes, payload: bytes) -> None:
        if kind == b"subscribe":
            self.on_up()
        elif self._on_message is not None:
            self._on_message(payload)

# SPDX-License-Identifier: Apache-2.0
"""Connections kept for the next request: last in, first out, few per origin, none for long.

A connection is only ever taken for the origin, the kind of TLS and the address guard it was opened under.
"""

import asyncio
from typing import NamedTuple

from apps.core.http1_wire import Connection

MAX_IDLE = 128
SWEEP_SECONDS = 5.0


class Origin(NamedTuple):
    """What two requests must have in common to share a connection."""

    tls: bool
    host: str
    port: int
    verify: bool
    private: bool


class Pool:
    """Every open connection of a client; the idle ones by origin."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._idle: dict[Origin, list[Connection]] = {}
        self._all: dict[Connection, Origin] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(len(waiting) for waiting in self._idle.values())

    def take(self, origin: Origin) -> Connection | None:
        """The connection that was used last and is certainly quiet; what is not quiet is dropped."""
        waiting = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while waiting:
            connection = waiting.pop()
            if connection.idle_since > oldest and connection.quiet():
                return connection
            connection.abort()
        return None

    def made(self, connection: Connection, origin: Origin) -> None:
        """Remember a new connection, so that `close` finds it."""
        if connection.open:
            self._all[connection] = origin

    def give(self, connection: Connection) -> None:
        """Keep a connection whose exchange ended cleanly."""
        origin = self._all.get(connection)
        waiting = [] if origin is None else self._idle.setdefault(origin, [])
        if origin is None or len(waiting) >= MAX_IDLE:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        waiting.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        origin = self._all.pop(connection, None)
        waiting = None if origin is None else self._idle.get(origin)
        if waiting and connection in waiting:
            waiting.remove(connection)

    def close(self) -> None:
        """Drop every connection, also those in use."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._idle.clear()
        for connection in list(self._all):
            connection.abort()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        oldest = loop.time() - self._idle_seconds
        for origin, waiting in list(self._idle.items()):
            for connection in [found for found in waiting if found.idle_since <= oldest or not found.open]:
                waiting.remove(connection)
                connection.abort()
            if not waiting:
                del self._idle[origin]
        if self._idle:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

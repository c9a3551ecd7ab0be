# SPDX-License-Identifier: Apache-2.0
"""The `Client` on our own HTTP/1.1: an asyncio protocol around httptools' parser.

It speaks the part of HTTP/1.1 that calls to providers need and refuses the rest: no redirects, no cookies, no
compression, no proxies from the environment, no upgrade, no pipelining.
"""

import asyncio
import functools
import ssl
from collections.abc import Sequence

from apps.core import http1_request
from apps.core.http import IDLE_SECONDS, Call, CallError
from apps.core.http1_names import Names
from apps.core.http1_pool import Origin, Pool
from apps.core.http1_wire import Answer, Connection

STALE_SECONDS = 1.0


class Http1Client:
    """Calls providers over pooled connections; opens nothing before the first call."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._names = Names(allow)
        self._pool = Pool(IDLE_SECONDS)
        self._closed = False

    async def send(self, call: Call) -> Answer:
        """Send and wait for the head of the answer; CallError says why there is none, ValueError that it cannot be sent."""
        to = http1_request.target(call.url)
        head = http1_request.head(call.method, to, call.headers, len(call.body))
        if not call.private_allowed:
            self._names.check_literal(to.host)
        began = asyncio.get_running_loop().time()
        total_at = None if call.total is None else began + call.total
        origin = Origin(to.tls, to.host, to.port, call.verify_tls, call.private_allowed)
        connection = self._pool.take(origin)
        if connection is not None:
            answer = Answer(connection, call.method, call.silence, total_at)
            try:
                return await _exchange(answer, connection, head, call.body)
            except CallError as fault:
                if self._closed or not _stale(answer, fault, began):
                    raise
        connection = await self._connect(origin, call.connect, total_at)
        answer = Answer(connection, call.method, call.silence, total_at)
        return await _exchange(answer, connection, head, call.body)

    async def close(self) -> None:
        """Close every connection, for good."""
        self._closed = True
        self._pool.close()
        # One turn of the loop, in which the transports say that they are closed.
        await asyncio.sleep(0)

    async def _connect(self, origin: Origin, seconds: float, total_at: float | None) -> Connection:
        """A new connection to an address that was checked; its deadline covers the name, every address and TLS."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if total_at is not None:
            until = min(until, total_at)
        try:
            async with asyncio.timeout_at(until):
                addresses = await self._names.addresses(origin.host, private=origin.private)
        except TimeoutError:
            raise CallError("connect", "the host's name was not resolved in time") from None
        fault: CallError | None = None
        for number, address in enumerate(addresses):
            # An address that swallows packets must not use up the time of those after it.
            share = (until - loop.time()) / (len(addresses) - number)
            try:
                async with asyncio.timeout(share):
                    return await self._open(origin, address)
            except OSError as cause:
                fault = _explain_connect(cause)
        self._names.forget(origin.host)
        raise fault or CallError("connect", "the host has no address")

    async def _open(self, origin: Origin, address: str) -> Connection:
        made: list[Connection] = []

        def factory() -> Connection:
            made.append(Connection(self._pool.give, self._pool.lost))
            return made[0]

        context = _tls(origin.verify) if origin.tls else None
        name = origin.host.rstrip(".") if origin.tls else None
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(factory, address, origin.port, ssl=context, server_hostname=name)
        except BaseException:
            for connection in made:
                connection.abort()
            raise
        connection = made[0]
        if self._closed:
            connection.abort()
            raise CallError("connect", "the client is closed")
        self._pool.made(connection, origin)
        return connection


async def _exchange(answer: Answer, connection: Connection, head: bytes, body: bytes) -> Answer:
    try:
        connection.ask(answer, head, body)
        await answer.head()
    except BaseException:
        answer.close()
        raise
    return answer


def _stale(answer: Answer, fault: CallError, began: float) -> bool:
    """Whether a kept connection was closed by the other side while our request was on its way to it.

    Then nobody has read the request, and it is sent once more, on a new connection. A server that had taken the
    request up and then died looks the same; it is told apart by time, since a close that crossed the request arrives
    within one trip, and by silence: a single byte of an answer rules the second try out.
    """
    lost = fault.kind == "cut" and answer.untouched
    return lost and asyncio.get_running_loop().time() - began < STALE_SECONDS


def _explain_connect(cause: OSError) -> CallError:
    kind = "tls" if isinstance(cause, ssl.SSLError) else "connect"
    fault = CallError(kind, type(cause).__name__)
    fault.__cause__ = cause
    return fault


@functools.cache
def _tls(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

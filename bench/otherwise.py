# SPDX-License-Identifier: Apache-2.0
"""Requests that do not end with an answer as it should be: refused ones, and ones that their client leaves."""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress

from bench import traffic
from bench.rows import Row, Way

AT_ONCE = 16
_PATIENCE = 60.0


class NotRefusedError(Exception):
    """A request that must be refused got another answer."""


def refuse(row: Row, requests: int) -> None:
    """Send requests of which each must be refused with its own status; NotRefusedError at the first that is not."""
    kinds = _refusals(row)
    asyncio.run(_all(requests, lambda number: _refused(row.ways["json"], *kinds[number % len(kinds)]())))


def leave(row: Row, requests: int) -> None:
    """Begin requests and go away: inside the body, before the answer, inside the stream."""
    kinds = [_in_the_body, _before_the_answer, _inside_the_stream]
    asyncio.run(_all(requests, lambda number: kinds[number % len(kinds)](row)))


async def _all(requests: int, one: Callable[[int], "asyncio.Future[None] | object"]) -> None:
    """So many requests, a few of them at once."""
    numbers = iter(range(requests))

    async def worker() -> None:
        for number in numbers:
            async with asyncio.timeout(_PATIENCE):
                await one(number)  # type: ignore[misc]

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _refusals(row: Row) -> list[Callable[[], tuple[int, bytes]]]:
    """Makers of requests with the status that each must get."""
    way, key = row.ways["json"], dict(row.headers)
    good = traffic.body(traffic.JSON, way.model)
    unknown = traffic.body(traffic.JSON, "no-such-model")
    wrong_type = json.dumps({"model": way.model, "messages": 5}).encode()
    return [
        # A different one each time: what a process remembers of strangers must be bounded too.
        lambda: (401, _request(way, {"authorization": f"Bearer sk-sf-{secrets.token_hex(24)}"}, good)),
        lambda: (401, _request(way, {}, good)),
        lambda: (404, _request(way, key, unknown)),
        lambda: (400, _request(way, key, b"{")),
        lambda: (400, _request(way, key, wrong_type)),
        lambda: (404, _request(Way(way.port, "/v1/nothing", way.model), key, good)),
        lambda: (400, b"nonsense\r\n\r\n"),
    ]


def _request(way: Way, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {way.path} HTTP/1.1", f"host: 127.0.0.1:{way.port}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def _refused(way: Way, status: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    writer.write(request)
    answer = await reader.read()
    await _close(writer)
    if not answer.startswith(b"HTTP/1.1 %d " % status):
        raise NotRefusedError(f"{status} was expected: {answer[:300]!r}")


async def _in_the_body(row: Row) -> None:
    request = _request(row.ways["json"], dict(row.headers), _fresh(traffic.JSON, row.ways["json"]))
    await _left(row.ways["json"], request[:-100], first=0)


async def _before_the_answer(row: Row) -> None:
    request = _request(row.ways["json"], dict(row.headers), _fresh(traffic.JSON, row.ways["json"]))
    await _left(row.ways["json"], request, first=0)


async def _inside_the_stream(row: Row) -> None:
    request = _request(row.ways["sse"], dict(row.headers), _fresh(traffic.SSE, row.ways["sse"]))
    await _left(row.ways["sse"], request, first=1)


def _fresh(shape: traffic.Shape, way: Way) -> bytes:
    return traffic.numbered(traffic.body(shape, way.model), secrets.randbelow(10**12))


async def _left(way: Way, request: bytes, *, first: int) -> None:
    """Send, wait for the first bytes if any are wanted, and go."""
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    writer.write(request)
    await writer.drain()
    if first and not (await reader.read(first)).startswith(b"H"):
        raise NotRefusedError("a stream did not begin")
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()

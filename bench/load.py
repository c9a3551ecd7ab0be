# SPDX-License-Identifier: Apache-2.0
"""The load generator, a process of its own: keeps C requests under way and checks every answer.

`python -m bench.load` reads one `Order` as JSON from stdin and writes one `Outcome` as JSON to stdout.
"""

import asyncio
import sys
from time import perf_counter
from typing import Any, cast

import httptools
import msgspec
import uvloop
from typing_extensions import override

from bench import traffic
from bench.figures import quantile

KEPT = 200_000


class Order(msgspec.Struct, kw_only=True):
    """What to send: until `seconds` are over or `requests` were begun, whichever is set."""

    port: int
    path: str
    headers: dict[str, str]
    shape: str
    model: str
    concurrency: int
    seconds: float = 0.0
    requests: int = 0
    first_number: int = 0
    prompt_bytes: int = 900


class Times(msgspec.Struct, frozen=True):
    """Milliseconds that a share of the answers stayed under."""

    p50: float = 0.0
    p99: float = 0.0


class Outcome(msgspec.Struct, kw_only=True):
    """What came back."""

    requests: int = 0
    events: int = 0
    seconds: float = 0.0
    wrong: list[str] = []
    whole: Times = Times()
    first_byte: Times = Times()
    gap: Times = Times()


class _Client(asyncio.Protocol):
    """One connection that sends the next request as soon as an answer is whole."""

    def __init__(self, run: "_Run") -> None:
        self.run = run
        self.closed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.parser: Any = None
        self.parts: list[bytes] = []
        self.began = self.first = self.latest = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._next()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.run.over and not self.closed.done():
            self.run.wrong(f"the connection was closed: {exc}")
        if not self.closed.done():
            self.closed.set_result(None)

    @override
    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if not self.first:
            self.first = now
        elif self.run.shape.stream and len(self.run.gaps) < KEPT:
            self.run.gaps.append((now - self.latest) * 1000)
        self.latest = now
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as fault:
            self.run.wrong(f"not HTTP: {fault}")
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """A piece of the answer."""
        self.parts.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole: check it, go on."""
        self.run.answered(self.parser.get_status_code(), b"".join(self.parts), self.began, self.first)
        self._next()

    def _next(self) -> None:
        if not self.run.may_go_on():
            if not self.closed.done():
                self.closed.set_result(None)
            return
        self.parser = httptools.HttpResponseParser(self)
        self.parts = []
        self.first = self.latest = 0.0
        self.began = perf_counter()
        self.transport.write(self.run.head + traffic.numbered(self.run.template, self.run.number()))


class _Run:
    """The shared state of all connections of one order."""

    def __init__(self, order: Order) -> None:
        self.order, self.outcome = order, Outcome()
        self.shape = traffic.ALL[order.shape]
        self.template = traffic.body(self.shape, order.model, order.prompt_bytes)
        lines = [f"POST {order.path} HTTP/1.1", f"host: 127.0.0.1:{order.port}"]
        lines += [f"{name}: {value}" for name, value in order.headers.items()]
        lines += ["content-type: application/json", f"content-length: {len(self.template)}", "", ""]
        self.head = "\r\n".join(lines).encode()
        self.begun, self.over = 0, False
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.gaps: list[float] = []
        self.began = perf_counter()

    def number(self) -> int:
        """The number of the next request."""
        self.begun += 1
        return self.order.first_number + self.begun

    def may_go_on(self) -> bool:
        """Whether one more request belongs to the order."""
        spent = self.order.requests and self.begun >= self.order.requests
        late = self.order.seconds and perf_counter() - self.began >= self.order.seconds
        self.over = self.over or bool(spent or late) or len(self.outcome.wrong) >= 5
        return not self.over

    def answered(self, status: int, body: bytes, began: float, first: float) -> None:
        """Count one answer, or keep what is wrong with it."""
        try:
            if status != 200:
                raise traffic.WrongAnswerError(f"{status}: {body[:300]!r}")
            if self.shape.stream:
                self.outcome.events += traffic.check_stream(body, self.shape)
            else:
                traffic.check_json(body, self.shape)
        except traffic.WrongAnswerError as fault:
            self.wrong(str(fault))
            return
        self.outcome.requests += 1
        if len(self.latencies) < KEPT:
            self.latencies.append((perf_counter() - began) * 1000)
            self.first_bytes.append((first - began) * 1000)

    def wrong(self, what: str) -> None:
        """Keep the first few faults."""
        if len(self.outcome.wrong) < 5:
            self.outcome.wrong.append(what)

    async def all(self) -> Outcome:
        """Open the connections and wait until each has seen its last answer."""
        loop = asyncio.get_running_loop()
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: _Client(self), "127.0.0.1", self.order.port)
                for _ in range(self.order.concurrency)
            )
        )
        await asyncio.gather(*(client.closed for _, client in made))
        self.outcome.seconds = perf_counter() - self.began
        for transport, _ in made:
            transport.abort()
        self.outcome.whole = times(self.latencies)
        self.outcome.first_byte = times(self.first_bytes)
        self.outcome.gap = times(self.gaps)
        return self.outcome


def times(values: list[float]) -> Times:
    """Median and 99th percentile of some milliseconds; zeros of none."""
    ordered = sorted(values)
    return Times(quantile(ordered, 0.5), quantile(ordered, 0.99))


async def run(order: Order) -> Outcome:
    """Carry an order out in this process."""
    return await _Run(order).all()


def main() -> None:
    """One order from stdin, one outcome to stdout."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(order))))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""A streamed answer: events pass as they come, through a bounded hold-back where an output policy needs one.

The record is written before the terminal event leaves; whatever ends the stream early ends it in the client's form.
"""

from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any

import msgspec
from typing_extensions import override

from apps.audit.domain import Verdict as Outcome
from apps.core.http import CallError
from apps.core.outcome import Refuse
from apps.core.sse import EventSizeError, Splitter
from apps.gateway import after, before
from apps.gateway.exchange import Exchange
from apps.gateway.rooms import Rooms
from apps.policies.domain import Action
from apps.providers.dialects.dialect import Dialect, Piece
from apps.providers.pairs.pair import Translation
from apps.providers.stage import Sent, Tried
from apps.providers.usage import Partial, merge

Event = dict[str, Any]


class Stream:
    """The events of one answer; iterate once, then `delivered` is the whole as JSON where it may be kept."""

    def __init__(self, exchange: Exchange, rooms: Rooms, sent: Sent) -> None:
        self._exchange, self._rooms, self._sent = exchange, rooms, sent
        self._surface = exchange.surface
        view = exchange.view
        review = view.bundle.stream(exchange.facts) if view is not None else None
        self._held = self._surface.held(review) if review is not None else None
        keep = exchange.cacheable or (view is not None and view.bodies != "off")
        self._tape = self._surface.tape(keep=keep)
        self._translation: Translation | None = None
        if sent.pair is not None and sent.ask is not None:
            self._translation = sent.pair.stream(sent.ask)
        self._part: Partial | None = None
        # Terminal events: they leave once the record is written.
        self._last: list[bytes] = []
        self.delivered = b""

    async def events(self) -> AsyncIterator[bytes]:
        """The bytes to send, an event or several at a time."""
        exchange, sent = self._exchange, self._sent
        since = perf_counter_ns()
        failure: Refuse | None = None
        outcome = "cancelled"
        incoming = sent.incoming
        assert incoming is not None  # noqa: S101 - a stream was sent
        try:
            async for block in self._blocks(sent.route.dialect):
                if isinstance(block, Refuse):
                    failure = block
                elif block:
                    if not exchange.record.first_byte_us:
                        exchange.record.first_byte_us = (perf_counter_ns() - exchange.began) // 1000
                    yield block
            if failure is None:
                outcome = "ok"
            elif failure.code != "policy_blocked":
                outcome = "cut"
        except CallError as fault:
            failure = _cut(fault)
            outcome = "timeout" if fault.kind == "timeout" else "cut"
        finally:
            incoming.close()
            exchange.produced_chars = self._tape.chars
            self._note_attempt(since, outcome)
        async for last in self._finish(failure):
            yield last

    async def _blocks(self, dialect: Dialect) -> AsyncIterator[bytes | Refuse]:
        """Bytes to pass on; at last a refusal where the stream does not end as it should."""
        splitter = Splitter()
        incoming = self._sent.incoming
        assert incoming is not None  # noqa: S101
        may_close = False
        try:
            async for chunk in incoming.chunks():
                out: list[bytes] = []
                for raw, data in splitter.feed(chunk):
                    if not data:
                        continue
                    piece = dialect.decode_event(data)
                    if piece.usage is not None or piece.part is not None:
                        self._note_usage(piece)
                    if piece.chunk is not None:
                        may_close = may_close or dialect.ends(piece.chunk)
                        self._take(piece.chunk, raw, out)
                    if piece.done or piece.error or (self._held is not None and self._held.blocked):
                        refusal = self._over(piece.error, out)
                        yield b"".join(out)
                        if refusal is not None:
                            yield refusal
                        return
                yield b"".join(out)
            out = []
            refusal = self._over("", out) if may_close else _unfinished()
            yield b"".join(out)
            if refusal is not None:
                yield refusal
        except (ValueError, RecursionError) as fault:
            text = "is too long" if isinstance(fault, EventSizeError) else "cannot be read"
            yield Refuse("upstream_error", f"An event of the provider's stream {text}.")

    def _note_usage(self, piece: Piece) -> None:
        """What an event says about usage: all of it, or something to be put together with what came before."""
        usage = piece.usage
        if piece.part is not None:
            self._part = merge(self._part, piece.part)
            usage = self._part.whole()
        after.note_usage(self._exchange, usage, piece.chunk or {})

    def _over(self, error: str, out: list[bytes]) -> Refuse | None:
        """The provider is done: what a translation still owes goes out; the refusal is why the stream must stop."""
        if error:
            return Refuse("upstream_error", f"The provider broke off its answer. It said: {error}")
        if self._translation is not None and (self._held is None or self._held.blocked is None):
            try:
                owed = self._translation.end()
            except ValueError:
                return _unfinished()
            for event in owed:
                self._pass(event, b"", out)
        if self._held is not None and self._held.blocked is not None:
            return Refuse("policy_blocked", self._held.blocked)
        return None

    def _take(self, chunk: Event, raw: bytes, out: list[bytes]) -> None:
        """One event of the provider, in the client's form."""
        if self._translation is None:
            self._pass(chunk, raw, out)
            return
        for event in self._translation.feed(chunk):
            self._pass(event, b"", out)

    def _pass(self, event: Event, raw: bytes, out: list[bytes]) -> None:
        """One event as it leaves: its own bytes where nothing had to change; a terminal one waits."""
        if self._held is None:
            block = raw or self._surface.frame(event)
            (self._last if self._tape.take(event) else out).append(block)
            return
        for part in self._held.pass_on(event):
            block = self._surface.frame(part)
            (self._last if self._tape.take(part) else out).append(block)

    async def _finish(self, failure: Refuse | None) -> AsyncIterator[bytes]:
        """The end of the stream: price, record, then the terminal events."""
        exchange, record, surface = self._exchange, self._exchange.record, self._surface
        if self._held is not None:
            verdict = self._held.verdict()
            exchange.add_evaluations(verdict.evaluations)
            if verdict.action is Action.REDACT and record.verdict is Outcome.ALLOWED:
                record.verdict = Outcome.REDACTED
        blocked = failure is not None and failure.code == "policy_blocked"
        record.status = 200
        record.finish_reason = self._tape.finish_reason
        if failure is not None:
            record.error_code = failure.code
            record.verdict = Outcome.BLOCKED if blocked else Outcome.FAILED
        if blocked:
            record.finish_reason = "content_filter"
        record.delivered_chars = self._held.delivered if self._held is not None else self._tape.chars
        after.price(exchange)
        self.delivered = self._tape.whole()
        after.keep_answer(exchange, self.delivered, self.delivered)
        unrecorded = await after.record(exchange, self._rooms)
        if blocked and failure is not None and self._held is not None:
            yield b"".join(map(surface.frame, self._held.filtered(failure.message))) + surface.ending
        elif failure is not None or unrecorded is not None:
            fault = unrecorded or failure
            assert fault is not None  # noqa: S101
            yield surface.error_event(fault, record.id)
        else:
            yield b"".join(self._terminal()) + surface.ending

    def _terminal(self) -> list[bytes]:
        """The events that waited for the record; OpenAI's clients get the usage only where they asked, with our figures."""
        request = self._exchange.request
        usage = self._tape.usage_event()
        if usage is None:
            return self._last
        wanted = request is not None and request.wants_usage
        return [self._surface.frame({**usage, "smartflow": _figures(self._exchange)})] if wanted else []

    def _note_attempt(self, since: int, outcome: str) -> None:
        exchange, sent = self._exchange, self._sent
        exchange.tried.append(Tried(sent.route, sent.began, perf_counter_ns(), 200, outcome))
        exchange.stage("stream", since)
        before.note_attempts(exchange)


class Replay(Stream):
    """A whole answer, from the cache or from a provider that does not stream, told as a stream."""

    def __init__(self, exchange: Exchange, rooms: Rooms, whole: bytes) -> None:
        self._exchange, self._rooms = exchange, rooms
        self._surface = exchange.surface
        self._held = None
        self._tape = self._surface.tape(keep=True)
        self._answer = whole
        self._last = []
        self.delivered = whole

    @override
    async def events(self) -> AsyncIterator[bytes]:
        """The answer in one piece, then the usual end."""
        out: list[bytes] = []
        for event in self._surface.replay(msgspec.json.decode(self._answer)):
            self._pass(event, b"", out)
        yield b"".join(out)
        async for last in self._finish(None):
            yield last


def replay(exchange: Exchange, rooms: Rooms, whole: bytes) -> Stream:
    """The stream of a whole answer."""
    return Replay(exchange, rooms, whole)


def _figures(exchange: Exchange) -> dict[str, str]:
    record = exchange.record
    overhead = max(0, (perf_counter_ns() - exchange.began) // 1000 - record.upstream_us)
    return {"cost": f"{record.cost:f}", "overhead_ms": f"{overhead / 1000:.3f}"}


def _unfinished() -> Refuse:
    return Refuse("upstream_error", "The provider's stream ended before its answer was complete.")


def _cut(fault: CallError) -> Refuse:
    if fault.kind == "timeout":
        return Refuse("upstream_timeout", "The provider fell silent in the middle of its answer.")
    return Refuse("upstream_error", "The connection to the provider broke in the middle of its answer.")

# SPDX-License-Identifier: Apache-2.0
"""A streamed answer: events pass as they come, through a bounded hold-back where an output policy needs one.

The record is written before the terminal event leaves; whatever ends the stream early ends it in OpenAI's form.
"""

from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any

import msgspec
from typing_extensions import override

from apps.audit.domain import Verdict as Outcome
from apps.core.errors import openai_body
from apps.core.http import CallError
from apps.core.outcome import Refuse
from apps.core.sse import DONE, EventSizeError, Splitter, event
from apps.gateway import after, before
from apps.gateway.exchange import Exchange
from apps.gateway.held import Held
from apps.gateway.rooms import Rooms
from apps.policies.domain import Action
from apps.providers.dialects.assemble import Assembler, chunks_of
from apps.providers.dialects.dialect import Dialect
from apps.providers.stage import Sent, Tried

END = event(DONE)
_encode = msgspec.json.Encoder().encode


class Stream:
    """The events of one answer; iterate once, then `delivered` is the whole as JSON where it may be kept."""

    def __init__(self, exchange: Exchange, rooms: Rooms, sent: Sent) -> None:
        self._exchange, self._rooms, self._sent = exchange, rooms, sent
        view = exchange.view
        review = view.bundle.stream(exchange.facts) if view is not None else None
        self._held = Held(review) if review is not None else None
        self._whole = (
            Assembler() if exchange.cacheable or (view is not None and view.bodies != "off") else None
        )
        self._usage_chunk: dict[str, Any] | None = None
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
            finished = False
            async for block in self._blocks(sent.route.dialect):
                if isinstance(block, bool):
                    finished = block
                    break
                if isinstance(block, Refuse):
                    failure = block
                    break
                if block:
                    if not exchange.record.first_byte_us:
                        exchange.record.first_byte_us = (perf_counter_ns() - exchange.began) // 1000
                    yield block
            if not finished and failure is None:
                failure = Refuse(
                    "upstream_error", "The provider's stream ended before its answer was complete."
                )
            if failure is None:
                outcome = "ok"
            elif failure.code != "policy_blocked":
                outcome = "cut"
        except CallError as fault:
            failure = _cut(fault)
            outcome = "timeout" if fault.kind == "timeout" else "cut"
        finally:
            incoming.close()
            self._note_attempt(since, outcome)
        async for last in self._finish(failure):
            yield last

    async def _blocks(self, dialect: Dialect) -> AsyncIterator[bytes | bool | Refuse]:
        """Bytes to pass on, True at the provider's end mark, a refusal where the stream must stop."""
        splitter = Splitter()
        incoming = self._sent.incoming
        assert incoming is not None  # noqa: S101
        try:
            async for chunk in incoming.chunks():
                out: list[bytes] = []
                for raw, data in splitter.feed(chunk):
                    if not data:
                        continue
                    piece = dialect.decode_event(data)
                    if piece.done:
                        yield b"".join(out)
                        yield True
                        return
                    if piece.error or piece.chunk is None:
                        yield b"".join(out)
                        yield Refuse(
                            "upstream_error", f"The provider broke off its answer. It said: {piece.error}"
                        )
                        return
                    out.append(self._pass(piece.chunk, piece.usage, raw))
                    if self._held is not None and self._held.blocked is not None:
                        yield b"".join(out)
                        yield Refuse("policy_blocked", self._held.blocked)
                        return
                yield b"".join(out)
        except (ValueError, RecursionError) as fault:
            text = "is too long" if isinstance(fault, EventSizeError) else "cannot be read"
            yield Refuse("upstream_error", f"An event of the provider's stream {text}.")

    def _pass(self, chunk: dict[str, Any], usage: Any, raw: bytes) -> bytes:
        """One chunk as it leaves: its own bytes where nothing had to change."""
        exchange = self._exchange
        choices = chunk["choices"]
        if usage is not None:
            exchange.usage = usage
            if not choices:
                self._usage_chunk = chunk
                return b""
        for choice in choices:
            if reason := choice.get("finish_reason"):
                exchange.record.finish_reason = exchange.record.finish_reason or str(reason)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                exchange.produced_chars += _characters(delta)
        if self._held is None:
            if self._whole is not None:
                self._whole.add(chunk)
            return raw
        released = self._held.pass_on(chunk)
        if self._whole is not None:
            for part in released:
                self._whole.add(part)
        return b"".join(event(_encode(part)) for part in released)

    async def _finish(self, failure: Refuse | None) -> AsyncIterator[bytes]:
        """The end of the stream: price, record, then the terminal event."""
        exchange, record = self._exchange, self._exchange.record
        if self._held is not None:
            verdict = self._held.verdict()
            exchange.add_evaluations(verdict.evaluations)
            if verdict.action is Action.REDACT and record.verdict is Outcome.ALLOWED:
                record.verdict = Outcome.REDACTED
        blocked = failure is not None and failure.code == "policy_blocked"
        record.status = 200
        if failure is not None:
            record.error_code = failure.code
            record.verdict = Outcome.BLOCKED if blocked else Outcome.FAILED
        if blocked:
            record.finish_reason = "content_filter"
        record.delivered_chars = self._held.delivered if self._held is not None else exchange.produced_chars
        after.price(exchange)
        if self._whole is not None:
            self.delivered = self._whole.body(self._usage_chunk)
            after.keep_answer(exchange, self.delivered, self.delivered)
        unrecorded = await after.record(exchange, self._rooms)
        if blocked and failure is not None and self._held is not None:
            yield event(_encode(self._held.filtered(failure.message)))
        elif failure is not None or unrecorded is not None:
            fault = unrecorded or failure
            assert fault is not None  # noqa: S101
            yield event(openai_body(fault.code, fault.message))
            return
        if exchange.request is not None and exchange.request.wants_usage and self._usage_chunk is not None:
            yield event(_encode({**self._usage_chunk, "smartflow": _figures(exchange)}))
        yield END

    def _note_attempt(self, since: int, outcome: str) -> None:
        exchange, sent = self._exchange, self._sent
        exchange.tried.append(Tried(sent.route, sent.began, perf_counter_ns(), 200, outcome))
        exchange.stage("stream", since)
        before.note_attempts(exchange)


class Replay(Stream):
    """A whole answer, from the cache or from a provider that does not stream, told as a stream."""

    def __init__(self, exchange: Exchange, rooms: Rooms, whole: bytes) -> None:
        self._exchange, self._rooms = exchange, rooms
        self._held, self._whole = None, None
        self._answer = whole
        self.delivered = whole
        self._usage_chunk = None

    @override
    async def events(self) -> AsyncIterator[bytes]:
        """The answer in one piece per choice, then the usual end."""
        chunks, self._usage_chunk = chunks_of(msgspec.json.decode(self._answer))
        yield b"".join(event(_encode(chunk)) for chunk in chunks)
        async for last in self._finish(None):
            yield last


def replay(exchange: Exchange, rooms: Rooms, whole: bytes) -> Stream:
    """The stream of a whole answer."""
    return Replay(exchange, rooms, whole)


def error_event(refusal: Refuse) -> bytes:
    """What a stream that is ended from outside says last."""
    return event(openai_body(refusal.code, refusal.message))


def _characters(delta: dict[str, Any]) -> int:
    """How many characters a delta adds, in any of its texts."""
    size = 0
    for name, value in delta.items():
        if isinstance(value, str):
            size += len(value) if name != "role" else 0
        elif isinstance(value, list):
            size += sum(
                len(str(c["function"].get("arguments") or ""))
                for c in value
                if isinstance(c, dict) and isinstance(c.get("function"), dict)
            )
    return size


def _figures(exchange: Exchange) -> dict[str, str]:
    record = exchange.record
    overhead = max(0, (perf_counter_ns() - exchange.began) // 1000 - record.upstream_us)
    return {"cost": f"{record.cost:f}", "overhead_ms": f"{overhead / 1000:.3f}"}


def _cut(fault: CallError) -> Refuse:
    if fault.kind == "timeout":
        return Refuse("upstream_timeout", "The provider fell silent in the middle of its answer.")
    return Refuse("upstream_error", "The connection to the provider broke in the middle of its answer.")

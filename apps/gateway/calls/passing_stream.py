# SPDX-License-Identifier: Apache-2.0
"""A stream that is passed through: events as they come, or held until they are whole where a policy must act on them.

Which texts of an unknown stream belong together is only sure at its end. So where an output policy may block or
redact, the events wait for it, bounded in size and time; everybody else gets each event at once.
"""

from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any

import msgspec
from typing_extensions import override

from apps.audit.domain import Verdict as Outcome
from apps.core.http import CallError, Incoming
from apps.core.limits import MAX_ANSWER_BYTES, MAX_EVENT_BYTES, MAX_JSON_DEPTH
from apps.core.outcome import Refuse
from apps.core.sse import DONE, EventSizeError, Splitter
from apps.gateway import after, before
from apps.gateway.calls.passing_texts import Meter, without_odds
from apps.gateway.exchange import Exchange
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream
from apps.gateway.texts import DepthError, Slot, collect_field
from apps.policies import stage as policies
from apps.policies.domain import Action, Phase
from apps.policies.stream import StreamReview
from apps.providers.stage import Route, Tried

# Names of values that come whole in each event.
_WHOLE = {"id", "object", "type", "role", "model", "name", "status", "event", "finish_reason", "stop_reason"}
# What tells one growing text of a stream from another.
_WHICH = ("type", "item_id", "output_index", "content_index", "summary_index", "index", "call_id")
_LAST = {"message_stop", "response.completed", "response.failed", "response.incomplete"}
_MOST_CHANNELS = 1000
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder().decode
_MARKS = {"tool_call": "tool:", "reasoning": "reasoning:"}


class _Event(msgspec.Struct):
    """One event: as it came, and its data, in a list of one so that it can be rewritten; `json` where it is JSON."""

    raw: bytes
    value: list[Any]
    json: bool
    last: bool

    def frame(self) -> bytes:
        """The event with its data as it now is, without comments and other lines in which nobody has looked."""
        data = _encode(self.value[0]) if self.json else str(self.value[0]).encode()
        lines = [b"data: " + line for line in data.split(b"\n")]
        for line in self.raw.split(b"\n"):
            name, _, text = line.partition(b":")
            if name == b"event" and text.strip().replace(b".", b"").replace(b"_", b"").isalpha():
                lines.insert(0, line)
        return b"\n".join(lines) + b"\n\n"


class PassedStream(Stream):
    """The events of one answer in whatever shape its provider gives them."""

    def __init__(
        self, exchange: Exchange, rooms: Rooms, incoming: Incoming, route: Route, began: int
    ) -> None:
        view = exchange.view
        assert view is not None  # noqa: S101 - identify came first
        self._exchange, self._rooms, self._surface = exchange, rooms, exchange.surface
        self._incoming, self._route, self._began = incoming, route, began
        self._secret = route.credential.encode()
        self._review = policies.stream(view.bundle, exchange.facts)
        self._holds = policies.acts(view.bundle, exchange.facts, Phase.OUTPUT)
        self._keeps = view.bodies != "off"
        self._meter = Meter(route.dialect.name)
        self._last: list[bytes] = []
        self._events: list[_Event] = []
        self._size = 0
        self._channels: set[str] = set()
        self._kept = bytearray()
        self.delivered = b""

    @override
    async def events(self) -> AsyncIterator[bytes]:
        """The bytes to send; the record is written before the end of the stream is told."""
        exchange, since = self._exchange, perf_counter_ns()
        failure: Refuse | None = None
        outcome = "cancelled"
        try:
            async for block in self._passing():
                if isinstance(block, Refuse):
                    failure = block
                    break
                if block:
                    if not exchange.record.first_byte_us:
                        exchange.record.first_byte_us = (perf_counter_ns() - exchange.began) // 1000
                    self._keep(block)
                    yield block
            outcome = "ok" if failure is None or failure.code == "policy_blocked" else "cut"
        except CallError as fault:
            silent = fault.kind == "timeout"
            outcome = "timeout" if silent else "cut"
            text = "The provider fell silent." if silent else "The connection to the provider broke."
            failure = Refuse("upstream_timeout" if silent else "upstream_error", text)
        finally:
            self._incoming.close()
            exchange.usage = self._meter.usage
            exchange.tried.append(Tried(self._route, self._began, perf_counter_ns(), 200, outcome))
            exchange.stage("stream", since)
            before.note_attempts(exchange)
        async for last in self._end(failure):
            yield last

    async def _passing(self) -> AsyncIterator[bytes | Refuse]:
        """Bytes to pass on; at last a refusal where the stream must not end as its provider ends it."""
        splitter = Splitter()
        until = self._began + int(self._route.total * 1e9)
        try:
            async for chunk in self._incoming.chunks():
                if fault := self._taken(splitter.feed(chunk)):
                    yield fault
                    return
                if self._holds and perf_counter_ns() > until:
                    yield Refuse(
                        "upstream_timeout", "The provider's stream did not end in time to be reviewed."
                    )
                    return
                yield self._released()
            if fault := self._taken(splitter.close()):
                yield fault
                return
            if self._holds and (fault := self._reviewed()):
                yield fault
                return
            self._holds = False
            yield self._released()
        except (DepthError, RecursionError, EventSizeError):
            yield Refuse("upstream_error", "An event of the provider's stream cannot be read.")

    def _taken(self, found: list[tuple[bytes, bytes]]) -> Refuse | None:
        """Note events that came."""
        for raw, data in found:
            if self._secret and self._secret in raw:
                return Refuse(
                    "upstream_error", "The provider's stream holds a credential and is not handed on."
                )
            self._size += len(raw)
            if self._holds and self._size > MAX_ANSWER_BYTES:
                return Refuse("upstream_error", "The provider's stream is too long to be reviewed.")
            if not data and self._holds:
                continue
            self._events.append(self._event(raw, data))
        return None

    def _event(self, raw: bytes, data: bytes) -> _Event:
        try:
            value, json = (_any(data), True) if data else (None, False)
        except ValueError:
            value, json = data.decode(errors="replace"), False
        event = _Event(raw, [value], json, data == DONE)
        if json:
            self._meter.take(value)
            event.last = isinstance(value, dict) and value.get("type") in _LAST
            self._exchange.produced_chars += sum(len(slot.text) for _, slot in _texts(event))
        return event

    def _released(self) -> bytes:
        """Events that need not wait for each other; from the one that ends an answer on, they wait for the record."""
        if self._holds:
            return b""
        out: list[bytes] = []
        events, self._events = self._events, []
        for event in events:
            if self._review is not None and event.value[0] is not None:
                self._look(event, self._review)
            (self._last if event.last or self._last else out).append(event.raw)
        return b"".join(out)

    def _look(self, event: _Event, review: StreamReview) -> None:
        """Have policies note what passes; none of them acts here. Too many open texts are ended."""
        if len(self._channels) > _MOST_CHANNELS:
            review.flush_all()
            self._channels.clear()
        for channel, slot in _texts(event):
            self._channels.add(channel)
            review.feed(channel, slot.text)
            if channel.startswith("whole:"):
                review.flush(channel)

    def _reviewed(self) -> Refuse | None:
        """Every text of the whole stream through the policies; rewritten ones are put into the first of their events."""
        review = self._review
        assert review is not None  # noqa: S101 - a policy that acts is there
        channels: dict[str, list[Slot]] = {}
        for number, event in enumerate(self._events):
            for channel, slot in _texts(event):
                alone = channel.startswith("whole:")
                channels.setdefault(f"{channel}:{number}" if alone else channel, []).append(slot)
        rewritten = False
        for channel, slots in channels.items():
            text = "".join(slot.text for slot in slots)
            said = review.feed(channel, text) + review.flush(channel)
            if review.blocked is not None:
                return Refuse("policy_blocked", review.blocked.reason)
            if said != text:
                rewritten = True
                for slot in slots:
                    slot.holder[slot.place] = ""
                slots[0].holder[slots[0].place] = said
        for event in self._events:
            if rewritten:
                without_odds(event.value[0])
            event.raw = event.frame()
        self._review = None
        self._exchange.add_evaluations(review.verdict().evaluations)
        if rewritten and review.verdict().action is Action.REDACT:
            self._exchange.record.verdict = Outcome.REDACTED
        return None

    async def _end(self, failure: Refuse | None) -> AsyncIterator[bytes]:
        """Price and record, then what ends the stream."""
        exchange, record = self._exchange, self._exchange.record
        if self._review is not None:
            self._review.flush_all()
            exchange.add_evaluations(self._review.verdict().evaluations)
        record.status, record.delivered_chars = 200, exchange.produced_chars
        if failure is not None:
            blocked = failure.code == "policy_blocked"
            record.error_code = failure.code
            record.verdict = Outcome.BLOCKED if blocked else Outcome.FAILED
            record.delivered_chars = 0 if self._holds else exchange.produced_chars
        after.price(exchange)
        for block in self._last if failure is None else ():
            self._keep(block)
        after.keep_answer(exchange, bytes(self._kept), bytes(self._kept))
        unrecorded = await after.record(exchange, self._rooms)
        if fault := unrecorded or failure:
            yield self._surface.error_event(fault, record.id)
        else:
            yield b"".join(self._last)

    def _keep(self, block: bytes) -> None:
        if self._keeps and len(self._kept) + len(block) <= MAX_EVENT_BYTES:
            self._kept += block


def _texts(event: _Event) -> list[tuple[str, Slot]]:
    """The texts of an event, each with the growing text of the stream it belongs to, or marked as whole."""
    found: list[tuple[str, Slot]] = []
    inner = event.value[0]
    which = [str(inner[name]) for name in _WHICH if name in inner] if isinstance(inner, dict) else []
    _walk(event.value, ".".join(which), found, MAX_JSON_DEPTH)
    return found


def _walk(holder: Any, path: str, found: list[tuple[str, Slot]], depth: int) -> None:
    if depth == 0:
        raise DepthError("nested too deep")
    for place, inner in holder.items() if isinstance(holder, dict) else enumerate(holder):
        here = place
        if isinstance(inner, dict) and isinstance(holder, list):
            here = inner.get("index", place)
        if isinstance(inner, (dict, list)):
            _walk(inner, f"{path}/{here}", found, depth - 1)
            continue
        slots: list[Slot] = []
        collect_field(holder, place, "assistant", slots)
        if isinstance(inner, str) and len(inner) == 1:
            # Texts that grow may do so by single characters.
            slots.append(Slot("tool_call" if place == "arguments" else "assistant", inner, holder, place))
        for slot in slots:
            whole = not isinstance(inner, str) or place in _WHOLE or str(place).endswith("_id")
            mark = ("whole:" if whole else "") + _MARKS.get(slot.role, "")
            found.append((f"{mark}0:{mark}{path}/{place}", slot))

# SPDX-License-Identifier: Apache-2.0
"""The steps from the provider's answer on: review, price, record, and what follows the last byte."""

from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import msgspec

from apps.audit.bodies import seal_body
from apps.audit.domain import Body, UsageSource
from apps.audit.stage import record as write_record
from apps.cache import stage as cache
from apps.cache.domain import Stored
from apps.core import clock, ids, redis_names
from apps.core.outcome import Refuse
from apps.gateway.before import reader_of, review_values
from apps.gateway.exchange import Exchange
from apps.gateway.reserving import rates_of
from apps.gateway.rooms import Rooms
from apps.gateway.surfaces.surface import ChatRequest
from apps.keys import stage as keys
from apps.providers import estimate, tiers
from apps.providers.rates import bill
from apps.providers.stage import Sent, Tried
from apps.providers.usage import Usage

_encode = msgspec.json.Encoder().encode
LEFT = {"client_closed", "draining"}
# How an attempt ends that made the provider work.
_REACHED = {"ok", "cancelled", "cut", "garbage"}


def review(exchange: Exchange, sent: Sent) -> bytes | Refuse:
    """Step 7 for a whole answer: the provider's own bytes unless a translation or a policy put something else in."""
    since = perf_counter_ns()
    whole, surface = sent.whole, exchange.surface
    assert whole is not None  # noqa: S101 - a whole answer was sent
    note_usage(exchange, whole.usage, whole.body)
    body, raw = whole.body, sent.raw
    if sent.pair is not None and sent.ask is not None:
        try:
            body = sent.pair.answer(body, sent.ask)
        except ValueError:
            return Refuse("upstream_error", "The provider's answer cannot be read.")
        raw = _encode(body)
    exchange.record.finish_reason = surface.finish_reason(body)
    refusal, rewritten = review_values(exchange, surface.texts(body))
    exchange.stage("review", since)
    if refusal is not None:
        return refusal
    if rewritten:
        surface.scrub(body)
        raw, original = _encode(body), raw
        keep_answer(exchange, original, raw)
    else:
        keep_answer(exchange, raw, raw)
    return raw


def keep_answer(exchange: Exchange, original: bytes, delivered: bytes) -> None:
    """Keep the answer's body where the organisation wants bodies: as it came, or as it was delivered."""
    view = exchange.view
    if view is not None and view.bodies != "off":
        exchange.answer_kept = original if view.bodies == "full" else delivered


def note_usage(exchange: Exchange, usage: Usage | None, answer: Mapping[str, Any]) -> None:
    """What the provider says it used, and the service tier it names beside."""
    exchange.usage = usage
    if tier := tiers.served(answer):
        exchange.record.service_tier = tier


def price(exchange: Exchange) -> None:
    """What the exchange used and costs: the provider's figures, else an estimate of what was produced."""
    record, admission, request = exchange.record, exchange.admission, exchange.request
    if record.cache_hit:
        record.usage_source = UsageSource.CACHE
        return
    if exchange.free or admission is None or admission.open is None or request is None:
        return
    tried = _reached(exchange)
    usage = _used(exchange, request, tried)
    if usage is None:
        return
    at_ms = ids.read_ms(record.id)
    rates = rates_of(exchange, tried.route if tried is not None else None, at_ms)
    record.price_version = rates.version if rates is not None else ""
    record.input_tokens, record.output_tokens, record.cached_tokens = usage.input, usage.output, usage.cached
    record.cost, record.charged = bill(rates, usage, record.service_tier, at_ms)
    record.overrun = record.charged > record.reserved


def _reached(exchange: Exchange) -> Tried | None:
    """The attempt that made a provider work: the one that answered, however that ended, else the last one."""
    answered = exchange.record.target_id
    for tried in reversed(exchange.tried):
        if tried.outcome in _REACHED or tried.route.target_id == answered:
            return tried
    return None


def _used(exchange: Exchange, request: ChatRequest, tried: Tried | None) -> Usage | None:
    """The usage to pay for; None where nothing was used."""
    record, told = exchange.record, exchange.usage
    if told is None and tried is None:
        return None
    dialect = tried.route.dialect.name if tried is not None else ""
    likely = exchange.likely.get(tried.route.target_id) if tried is not None else None
    record.estimated_input = estimate.likely(request.size, dialect=dialect) if likely is None else likely
    made = estimate.likely(exchange.produced_chars, dialect=dialect)
    if told is not None:
        record.usage_source = UsageSource.PROVIDER
        if made > told.output and tried is not None and tried.outcome != "ok":
            # A stream that was left says what was used when it began.
            record.usage_source = UsageSource.ESTIMATED
            told = msgspec.structs.replace(told, output=made)
        record.usage = told.to_record()
        return told
    # A failure that produced nothing costs nothing; one who leaves has still made the provider work.
    if record.error_code and not exchange.produced_chars and record.error_code not in LEFT:
        return None
    record.usage_source = UsageSource.ESTIMATED
    return Usage(input=record.estimated_input, output=made)


async def record(exchange: Exchange, rooms: Rooms) -> Refuse | None:
    """Step 8: the finished record is in the journal before the last byte is released."""
    if exchange.recorded:
        return None
    since = perf_counter_ns()
    exchange.recorded = True
    row = exchange.record
    row.stages = tuple(exchange.stages)
    row.lease = rooms.lease
    row.delivered_chars = row.delivered_chars or (exchange.produced_chars if row.status == 200 else 0)
    row.total_us = (since - exchange.began) // 1000
    rooms.metrics.exchange(row)
    if not row.organisation_id or rooms.journal is None:
        # Nobody's request: there is no tenant whose record it could be.
        return None
    refusal = await write_record(rooms.journal, row, _body(exchange, rooms))
    # Also where it could not be written: what the provider was paid counts, and nothing may stay open here.
    rooms.under_way.journalled(row.id, row.charged)
    return refusal


def settle(exchange: Exchange, rooms: Rooms, delivered: bytes = b"") -> None:
    """Step 10: settle and keep in one batch that nobody waits for; each may fail alone, the charge is tried again."""
    admission, row = exchange.admission, exchange.record
    if admission is not None and admission.guessed:
        rooms.retry_settling()
    elif admission is not None and admission.open is not None:
        rooms.under_way.settling(
            keys.settle_soon(rooms.redis, admission.open, row.charged), row.id, rooms.retry_settling
        )
    elif admission is None and exchange.caller is not None and row.verdict == "blocked":
        # It never reached admission, and still counts as a request.
        minute = clock.now_ms() // 60_000
        _ = rooms.redis.command("HINCRBY", redis_names.rates(row.organisation_id, row.key_id), minute, 1)
    if delivered and _keepable(exchange):
        cache.keep(rooms.redis, row.organisation_id, row.cache_key, _stored(exchange, delivered))


def _keepable(exchange: Exchange) -> bool:
    row = exchange.record
    return (
        exchange.cacheable
        and not row.cache_hit
        and row.status == 200
        and row.finish_reason == "stop"
        and not row.error_code
    )


def _stored(exchange: Exchange, delivered: bytes) -> Stored:
    row, caller, view = exchange.record, exchange.caller, exchange.view
    assert caller is not None and view is not None  # noqa: S101, PT018
    return Stored(
        body=msgspec.Raw(delivered),
        model=row.model,
        target=row.target,
        bundle=view.bundle.digest,
        reader=reader_of(view, caller.key),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
        stored_ms=clock.now_ms(),
    )


def _body(exchange: Exchange, rooms: Rooms) -> Body | None:
    view = exchange.view
    if view is None or view.bodies == "off" or not exchange.prompt_kept:
        return None
    return seal_body(rooms.ring, exchange.record, exchange.prompt_kept, exchange.answer_kept)

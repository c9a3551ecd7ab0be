# SPDX-License-Identifier: Apache-2.0
"""Prices records again by what is known of prices today; records stay as they are, differences become entries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal

from django.db import transaction

from apps.audit import selectors as audit
from apps.audit.domain import Record, State, UsageSource
from apps.changes.domain import Actor
from apps.core import ids, money
from apps.providers import selectors_prices as prices
from apps.providers import services_prices
from apps.providers.pricing import split
from apps.providers.rates import Rates, cost
from apps.providers.services_prices import Repriced
from apps.providers.usage import Usage, from_record

AT_ONCE = 2000
# Costs are kept with so many decimals; what is beyond them is no difference.
_PLACES = Decimal(1).scaleb(-20)
_WIDE = Context(prec=80)
_COUNTED = (UsageSource.PROVIDER, UsageSource.ESTIMATED)


@dataclass(slots=True)
class Rerated:
    """What a run found: records looked at, those without a known price, corrections and their dollars."""

    looked: int = 0
    unpriced: int = 0
    corrected: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    models: dict[str, int] = field(default_factory=dict)


def rerate(
    *,
    actor: Actor,
    organisation_id: str,
    start: datetime,
    end: datetime,
    reason: str,
    model: str = "",
    dry_run: bool = False,
) -> Rerated:
    """Price the records of a stretch of time again; a second run over the same prices finds nothing to correct."""
    found, pricing = Rerated(), _Pricing(organisation_id)
    for records in _batches(organisation_id, start, end, model):
        found.looked += len(records)
        with transaction.atomic():
            services_prices.lock_corrections(organisation_id)
            repriced = _repriced(organisation_id, records, pricing, found)
            if not dry_run:
                services_prices.add_corrections(
                    actor=actor, organisation_id=organisation_id, reason=reason, found=repriced
                )
        found.corrected += len(repriced)
        for one in repriced:
            found.before = money.total(found.before, one.cost_before)
            found.after = money.total(found.after, one.cost_after)
            found.models[one.model_name] = found.models.get(one.model_name, 0) + 1
    return found


class _Pricing:
    """The prices of everything that records name, each looked up once."""

    def __init__(self, organisation_id: str) -> None:
        self._book = prices.PriceBook(organisation_id)
        self._known: dict[tuple[str, str, str], tuple[Rates, ...]] = {}

    def at(self, record: Record, at_ms: int) -> Rates | None:
        named = (record.model, record.provider, record.upstream_model)
        if named not in self._known:
            self._known[named] = prices.named_timeline(self._book, *named)
        return split(self._known[named], at_ms)[0]


def _batches(organisation_id: str, start: datetime, end: datetime, model: str) -> Iterator[list[Record]]:
    filters = audit.RecordFilters(start=start, end=end, model=model)
    cursor: str | None = None
    gathered: list[Record] = []
    while cursor != "":
        page = audit.page(organisation_id, filters=filters, cursor=cursor, limit=audit.MOST)
        gathered += [record for record in page.records if _is_counted(record)]
        cursor = page.older
        if len(gathered) >= AT_ONCE or (cursor == "" and gathered):
            yield gathered
            gathered = []


def _is_counted(record: Record) -> bool:
    """Only what was used can be priced: not stored answers, and not exchanges whose end nobody knows."""
    return record.state is State.DONE and record.usage_source in _COUNTED


def _repriced(
    organisation_id: str, records: Sequence[Record], pricing: _Pricing, found: Rerated
) -> list[Repriced]:
    known = [record.id for record in records]
    differences = prices.correction_of(organisation_id, known)
    versions = prices.versions_of(organisation_id, known)
    repriced = []
    for record in records:
        at_ms = ids.milliseconds(record.id)
        rates = pricing.at(record, at_ms)
        if rates is None:
            found.unpriced += 1
            continue
        before = _kept(money.total(record.cost, differences.get(record.id, Decimal(0))))
        after = _kept(cost(rates, _usage(record), record.service_tier, at_ms))
        if before != after:
            repriced.append(
                Repriced(
                    record_id=record.id,
                    recorded_at=ids.moment(record.id),
                    model_name=record.model,
                    cost_before=before,
                    cost_after=after,
                    version_before=versions.get(record.id, record.price_version),
                    version_after=rates.version,
                )
            )
    return repriced


def _kept(dollars: Decimal) -> Decimal:
    """An amount as its column holds it."""
    return dollars.quantize(_PLACES, context=_WIDE)


def _usage(record: Record) -> Usage:
    if record.usage:
        return from_record(record.usage)
    return Usage(input=record.input_tokens, output=record.output_tokens, cache_read=record.cached_tokens)

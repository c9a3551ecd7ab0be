# SPDX-License-Identifier: Apache-2.0
"""Closing what dead processes left open, and telling counters of ends that came in late."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from apps.analytics import store
from apps.audit import selectors, services
from apps.audit.domain import Record
from apps.core import clock, ids
from apps.keys.domain import Budget, OpenRecord, boundaries
from apps.keys.selectors import budgets
from apps.keys.store import settle_sync

log = logging.getLogger(__name__)

CHUNK = 500
# A journal that nobody has seen for so long is taken for lost with its disk.
LOST_AFTER = timedelta(hours=1)
# A living process settles right after it records.
RECORDED_AFTER = timedelta(minutes=1)


def sweep(client: Any) -> int:
    """Close open records of processes that are dead and wholly shipped; settle what living ones recorded and forgot.

    Returns how many were settled.
    """
    settled = 0
    dead: set[str] = set()
    for organisation_id in store.organisations(client):
        for lease in store.open_leases(client, organisation_id):
            if is_over(client, lease):
                settled += _close(client, organisation_id, lease)
                dead.add(lease)
            else:
                settled += _settle_recorded(client, organisation_id, lease)
    for lease in store.acknowledged(client):
        if lease in dead or is_over(client, lease):
            settled += _count_guesses(client, lease)
            store.forget_process(client, lease)
    return settled


def is_over(client: Any, lease: str) -> bool:
    """Whether a process is gone and nothing it wrote is still to come."""
    if store.lives(client, lease):
        return False
    journal = selectors.journals().filter(lease=lease).first()
    if journal is not None and journal.closed_at is not None:
        return True
    seen = journal.seen_at if journal is not None else _last_word(client, lease)
    if clock.now() - seen < LOST_AFTER:
        return False
    log.error("the journal of process %s was not seen for an hour and is taken for lost", lease)
    return True


def apply_corrections(client: Any) -> int:
    """Tell the counters of finished records that replaced interrupted ones; how many were applied."""
    epoch = store.epoch(client)
    known = _Budgets()
    applied = []
    for row in selectors.unapplied_corrections()[:CHUNK]:
        org = row.organisation_id
        if not epoch or store.counters_epoch(client, org) != epoch:
            # A rebuild will count from the records, which are right already.
            continue
        amounts = known.amounts(org, row.budget_ids, row.accounted_at, row.charged_after - row.charged_before)
        if store.correct(client, org, row.pk, amounts) >= 0:
            applied.append(row.pk)
    services.mark_corrections_applied(applied)
    return len(applied)


class _Budgets:
    """Budgets by organisation, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Budget]] = {}

    def amounts(
        self, organisation_id: str, budget_ids: Iterable[str], at: datetime, charge: int
    ) -> list[tuple[str, int, int]]:
        """(budget, start of the window it falls into, charge) for each budget that still exists."""
        if organisation_id not in self._known:
            self._known[organisation_id] = {budget.id: budget for budget in budgets(organisation_id)}
        known = self._known[organisation_id]
        found = [known[budget_id] for budget_id in budget_ids if budget_id in known]
        return [(budget.id, boundaries(budget.window, budget.zone, at)[0], charge) for budget in found]


def _count_guesses(client: Any, lease: str) -> int:
    """Count what a dead process admitted while it could not ask these counters, and never told them of."""
    epoch, known, counted = store.epoch(client), _Budgets(), 0
    # Those of another epoch are in the counters, which were rebuilt from the records since.
    guesses = selectors.guesses(lease, epoch)
    corrected = selectors.charges_before_correction(row.id for _org, row in guesses)
    for org, row in guesses:
        charged = corrected.get(row.id, row.charged)
        amounts = known.amounts(org, row.budget_ids, row.accounted_at, charged)
        counted += store.count_guessed(client, org, row.id, epoch, amounts) == 1
    return counted


def _last_word(client: Any, lease: str) -> Any:
    """When a process without a known journal was last heard of: its lease id is as old as itself."""
    said = store.acknowledged(client).get(lease)
    if said is not None and said.at_ms:
        return clock.from_ms(said.at_ms)
    return ids.moment(lease) if ids.is_id("ls", lease) else clock.from_ms(0)


def _close(client: Any, organisation_id: str, lease: str) -> int:
    """Settle the open records of one dead process; an exchange without an end is closed as interrupted first."""
    found, unreadable = store.open_records(client, organisation_id, lease)
    settled = 0
    for chunk in _chunks(found):
        wanted = [record.id for record in chunk]
        recorded = selectors.charges(organisation_id, wanted)
        services.close_interrupted(record_of(record) for record in chunk if record.id not in recorded)
        # Read again: an end may have come in between, and what is in the database decides.
        recorded = selectors.charges(organisation_id, wanted)
        corrected = selectors.charges_before_correction(wanted)
        store.mark_told(client, organisation_id, wanted)
        for record in chunk:
            # A correction that waits speaks of the figure before it, so that is what it must find.
            charged = corrected.get(record.id, recorded[record.id])
            settled += settle_sync(client, record, charged)
    if unreadable:
        log.error("%d open records of process %s cannot be read; they stay", unreadable, lease)
    else:
        store.forget_lease(client, organisation_id, lease)
    return settled


def _settle_recorded(client: Any, organisation_id: str, lease: str) -> int:
    """Settle what a living process recorded long ago and still holds open.

    Where the store admitted, and its answer came too late, the process refused and knows of nothing to settle.
    """
    found, _unreadable = store.open_records(client, organisation_id, lease)
    old = [record for record in found if clock.now() - ids.moment(record.id) > RECORDED_AFTER]
    settled = 0
    for chunk in _chunks(old):
        recorded = selectors.charges(organisation_id, [record.id for record in chunk])
        for record in chunk:
            if record.id in recorded:
                # Should the process settle at this moment after all: whoever comes second does nothing.
                settled += settle_sync(client, record, recorded[record.id])
    return settled


def _chunks(records: list[OpenRecord]) -> Iterator[list[OpenRecord]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


def record_of(record: OpenRecord) -> Record:
    """What is known of an exchange from its admission alone."""
    return Record(
        id=record.id,
        organisation_id=record.organisation_id,
        key_id=record.key_id,
        key_name=record.key_name,
        key_hint=record.key_hint,
        person_id=record.person_id,
        person_name=record.person_name,
        team_id=record.team_id,
        team_name=record.team_name,
        model_asked=record.model,
        model=record.model,
        path=record.path,
        lease=record.lease,
        budget_ids=record.budget_ids,
        reserved=record.reserved,
        admitted_ms=record.admitted_ms,
        demo=record.demo,
    )

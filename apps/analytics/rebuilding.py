# SPDX-License-Identifier: Apache-2.0
"""Spend counters from records, after Redis lost them; never a silent reset to zero.

Counters are the sum of every recorded charge, except of exchanges that are open in the new store or were settled
in it: those are counted there. Because that set is read after the records, nothing is counted twice; because every
process has said that its open exchanges are registered, and all it had journalled by then is shipped, nothing is
left out.
"""

import logging
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from apps.analytics import store
from apps.audit import selectors
from apps.audit.domain import Charge
from apps.audit.services import mark_corrections_applied
from apps.core import clock
from apps.core.tenancy import EVERYONE, acting_for
from apps.keys.domain import Budget, boundaries
from apps.keys.selectors import budgets

log = logging.getLogger(__name__)

# The shipper tells of a living process every 5 seconds.
SEEN_LATELY = timedelta(seconds=15)
# A process that neither lives nor was shipped to its end is waited for no longer than this.
ABANDONED_AFTER = timedelta(minutes=10)


def unbuilt(client: Any) -> list[str]:
    """Organisations whose counters are not those of the epoch in force."""
    epoch = store.epoch(client)
    if not epoch:
        return []
    return [org for org in store.organisations(client) if store.counters_epoch(client, org) != epoch]


def waiting_for(client: Any) -> list[str]:
    """Why counters cannot be rebuilt yet, one line per process; empty when they can."""
    epoch = store.epoch(client)
    said = store.acknowledged(client)
    now = clock.now()
    reasons: list[str] = []
    shipped = {}
    for journal in selectors.journals().filter(closed_at=None):
        shipped[journal.lease] = journal.position
        living = store.lives(client, journal.lease) or now - journal.seen_at < SEEN_LATELY
        if living:
            reasons += _missing(journal.lease, said.get(journal.lease), epoch, journal.position)
        elif now - journal.seen_at < ABANDONED_AFTER:
            reasons.append(f"{journal.lease} is gone and its journal is not wholly shipped")
        else:
            log.error(
                "the journal of process %s is incomplete; counters are rebuilt without its end", journal.lease
            )
    for lease, ack in said.items():
        if lease not in shipped and store.lives(client, lease) and not _is_closed(lease):
            reasons += _missing(lease, ack, epoch, 0)
    return reasons


def rebuild_organisation(client: Any, organisation_id: str) -> bool:
    """Rebuild one organisation's counters; False when the store was lost again meanwhile."""
    token = secrets.token_hex(8)
    store.begin_rebuild(client, organisation_id, token)
    # After the token: if the store is lost from here on, so is the token.
    epoch = store.epoch(client)
    if not epoch:
        return False
    now = clock.now()
    windows = [
        (budget, boundaries(budget.window, budget.zone, now)[0]) for budget in budgets(organisation_id)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with acting_for(EVERYONE):
            corrections = list(
                selectors.unapplied_corrections()
                .filter(organisation_id=organisation_id)
                .values_list("id", flat=True)
            )
            sums = [
                selectors.spent(organisation_id, budget.id, clock.from_ms(start * 1000))
                for budget, start in windows
            ]
            touched = store.touched_ids(client, organisation_id)
            there = selectors.charges_of(organisation_id, touched)
    amounts = [
        (budget.id, start, recorded - _counted_there(there, budget, start))
        for (budget, start), recorded in zip(windows, sums, strict=True)
    ]
    outcome = store.finish_rebuild(
        client, organisation_id, token=token, for_epoch=epoch, corrections=corrections, amounts=amounts
    )
    if outcome == 1:
        mark_corrections_applied(corrections)
        log.warning("spend counters of %s were rebuilt from its records", organisation_id)
    return outcome != 0


def _missing(lease: str, ack: "store.Acknowledged | None", epoch: str, shipped: int) -> list[str]:
    if ack is None or ack.epoch != epoch:
        return [f"{lease} has not registered its open exchanges again"]
    if shipped < ack.position:
        return [f"{lease} has {ack.position - shipped} bytes that are not shipped"]
    return []


def _is_closed(lease: str) -> bool:
    return selectors.journals().filter(lease=lease).exclude(closed_at=None).exists()


def _counted_there(there: Iterable[Charge], budget: Budget, start: int) -> int:
    """Micro-dollars of a budget's window that the new store counts or will count by itself."""
    begin = clock.from_ms(start * 1000)
    return sum(row.charged for row in there if budget.id in row.budget_ids and row.accounted_at >= begin)

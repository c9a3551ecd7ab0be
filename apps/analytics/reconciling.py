# SPDX-License-Identifier: Apache-2.0
"""Comparing spend counters with the records; what differs is reported and never changed in silence."""

import logging
import time
from datetime import datetime
from typing import Any

from apps.analytics import store
from apps.analytics.models import Difference
from apps.audit import selectors
from apps.changes.domain import Role
from apps.core import clock, money
from apps.keys.domain import Budget, boundaries
from apps.keys.selectors import budgets
from apps.notify.services import notify

log = logging.getLogger(__name__)

# An exchange that just ended is for a moment in one of the two only: what is real stays through several looks.
LOOKS = 4
PAUSE_SECONDS = 2.0


def reconcile(client: Any) -> list[Difference]:
    """Report every budget whose counter and records differ for longer than an exchange takes to arrive."""
    found: list[Difference] = []
    for organisation_id in store.organisations(client):
        if store.counters_epoch(client, organisation_id) == store.epoch(client) != "":
            found += _of_organisation(client, organisation_id)
    for row in found:
        row.save()
        _tell(row)
    return found


def _of_organisation(client: Any, organisation_id: str) -> list[Difference]:
    now = clock.now()
    suspects = [
        (budget, boundaries(budget.window, budget.zone, now)[0]) for budget in budgets(organisation_id)
    ]
    least: dict[str, Difference] = {}
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        for budget, start in suspects:
            row = _look(client, organisation_id, budget, start)
            known = least.get(budget.id)
            if known is None or abs(_gap(row)) < abs(_gap(known)):
                least[budget.id] = row
        suspects = [(budget, start) for budget, start in suspects if _gap(least[budget.id])]
        if not suspects:
            break
    return [least[budget.id] for budget, _start in suspects]


def _look(client: Any, organisation_id: str, budget: Budget, start: int) -> Difference:
    begin: datetime = clock.from_ms(start * 1000)
    return Difference(
        organisation_id=organisation_id,
        budget_id=budget.id,
        window_start=begin,
        counted=store.spent(client, organisation_id, budget.id, start),
        recorded=selectors.spent(organisation_id, budget.id, begin),
    )


def _gap(row: Difference) -> int:
    return row.counted - row.recorded


def _tell(row: Difference) -> None:
    gap = _gap(row)
    log.error("budget %s: counter and records differ by %d micro-dollars", row.budget_id, gap)
    notify(
        "budget.differs",
        row.organisation_id,
        title="A budget's counter differs from its records",
        dedupe_key=f"budget.differs:{row.budget_id}:{row.window_start:%Y%m%d}:{gap}",
        text=f"The counter says {money.text(money.dollars(row.counted))} dollars, the records say "
        f"{money.text(money.dollars(row.recorded))}. Nothing was changed. The records are what counts; "
        "ask the platform team to find out why.",
        roles=[Role.ADMIN, Role.ENGINEER],
        data={"budget": row.budget_id, "counted": row.counted, "recorded": row.recorded},
    )

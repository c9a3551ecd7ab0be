# SPDX-License-Identifier: Apache-2.0
"""Comparing spend counters with the records; what differs is reported and never changed in silence."""

import logging
import time
from datetime import datetime
from typing import Any

from apps.analytics import store
from apps.analytics.domain import Comparison
from apps.analytics.services import report_difference
from apps.audit import selectors
from apps.core import clock
from apps.keys.domain import Budget, boundaries
from apps.keys.selectors import budgets

log = logging.getLogger(__name__)

# An exchange that just ended is for a moment in one of the two only: what is real stays through several looks.
LOOKS = 4
PAUSE_SECONDS = 2.0


def reconcile(client: Any) -> list[Comparison]:
    """Report every budget whose counter and records differ for longer than an exchange takes to arrive."""
    found: list[Comparison] = []
    for organisation_id in store.organisations(client):
        if store.counters_epoch(client, organisation_id) == store.epoch(client) != "":
            found += _of_organisation(client, organisation_id)
    for row in found:
        log.error("budget %s: counter and records differ by %d micro-dollars", row.budget_id, row.gap)
        report_difference(row)
    return found


def _of_organisation(client: Any, organisation_id: str) -> list[Comparison]:
    now = clock.now()
    suspects = [
        (budget, boundaries(budget.window, budget.zone, now)[0]) for budget in budgets(organisation_id)
    ]
    least: dict[str, Comparison] = {}
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        for budget, start in suspects:
            row = _look(client, organisation_id, budget, start)
            known = least.get(budget.id)
            if known is None or abs(row.gap) < abs(known.gap):
                least[budget.id] = row
        suspects = [(budget, start) for budget, start in suspects if least[budget.id].gap]
        if not suspects:
            break
    return [least[budget.id] for budget, _start in suspects]


def _look(client: Any, organisation_id: str, budget: Budget, start: int) -> Comparison:
    begin: datetime = clock.from_ms(start * 1000)
    return Comparison(
        organisation_id=organisation_id,
        budget_id=budget.id,
        window_start=begin,
        counted=store.spent(client, organisation_id, budget.id, start),
        recorded=selectors.spent(organisation_id, budget.id, begin),
    )

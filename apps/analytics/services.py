# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: what reconciliation found, and telling people of it."""

from django.db import transaction

from apps.analytics.domain import Comparison
from apps.analytics.models import Difference
from apps.changes.domain import Role
from apps.core import money
from apps.notify.services import notify


@transaction.atomic
def report_difference(found: Comparison) -> Difference:
    """Write a difference down and tell those who can find out why, once per budget, window and gap."""
    row = Difference.objects.create(
        organisation_id=found.organisation_id,
        budget_id=found.budget_id,
        window_start=found.window_start,
        counted=found.counted,
        recorded=found.recorded,
    )
    notify(
        "budget.differs",
        found.organisation_id,
        title="A budget's counter differs from its records",
        dedupe_key=f"budget.differs:{found.budget_id}:{found.window_start:%Y%m%d}:{found.gap}",
        text=f"The counter says {money.text(money.dollars(found.counted))} dollars, the records say "
        f"{money.text(money.dollars(found.recorded))}. Nothing was changed. The records are what counts; "
        "ask the platform team to find out why.",
        roles=[Role.ADMIN, Role.ENGINEER],
        data={"budget": found.budget_id, "counted": found.counted, "recorded": found.recorded},
    )
    return row

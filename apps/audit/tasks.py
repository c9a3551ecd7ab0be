# SPDX-License-Identifier: Apache-2.0
"""Timed work of this room: partitions are there before they are needed."""

import logging
from datetime import date, timedelta

from celery import shared_task
from django.db import connections

from apps.audit.locks import alone
from apps.changes.domain import Role
from apps.core import clock
from apps.core.tenancy import EVERYONE, acting_for
from apps.notify.services import notify

log = logging.getLogger(__name__)

OWNER = "owner"
PARENTS = ("audit_record", "audit_body")
DAYS_AHEAD = 14


@shared_task(name="apps.audit.tasks.ensure_partitions")
@alone("audit.partitions", using=OWNER)
def ensure_partitions() -> None:
    """A partition for each of the next 14 days; rows that had none are moved into one, and somebody is told."""
    today = clock.now().date()
    for parent in PARENTS:
        stray = _days_in_default(parent)
        wanted = {today + timedelta(days=number) for number in range(-1, DAYS_AHEAD + 1)}
        moved = sum(_add_partition(parent, day) for day in sorted(wanted | set(stray)))
        if moved and stray:
            _alarm(parent, moved, stray)


def _add_partition(parent: str, day: date) -> int:
    """Make the partition of a day unless it is there; how many rows came from the default one."""
    with acting_for(EVERYONE, OWNER), connections[OWNER].cursor() as cursor:
        # Behind a long query, waiting would stop everybody who comes after us: rather try again next hour.
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute("SELECT audit_add_partition(%s, %s)", [parent, day])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _days_in_default(parent: str) -> dict[date, list[str]]:
    """Day -> organisations with rows that no partition took."""
    with acting_for(EVERYONE, OWNER), connections[OWNER].cursor() as cursor:
        table = connections[OWNER].ops.quote_name(f"{parent}_default")
        cursor.execute(
            f"SELECT (ts AT TIME ZONE 'UTC')::date, array_agg(DISTINCT organisation_id) FROM {table} GROUP BY 1"  # noqa: S608
        )
        return {day: list(organisations) for day, organisations in cursor.fetchall()}


def _alarm(parent: str, moved: int, stray: dict[date, list[str]]) -> None:
    days = ", ".join(day.isoformat() for day in sorted(stray))
    log.error("%d rows of %s had no partition (%s); they were moved into one", moved, parent, days)
    for organisation_id in sorted({one for several in stray.values() for one in several}):
        notify(
            "records.stray",
            organisation_id,
            title="Some records had no partition",
            dedupe_key=f"records.stray:{parent}:{min(stray)}:{max(stray)}",
            text=f"Records of {days} came in for which no partition was ready. They are complete and were moved. "
            "A clock may be wrong, or the timed work did not run.",
            roles=[Role.ADMIN],
            data={"rows": moved, "days": days},
        )

# SPDX-License-Identifier: Apache-2.0
"""Reads of records: each within an organisation, and under the row-level security of the database besides."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Min, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast, Coalesce

from apps.audit.domain import Charge, Record, decode_record
from apps.audit.models import Correction, RecordRow, Reveal, Shipped, Spend, Total
from apps.core import clock, ids
from apps.core.tenancy import EVERYONE, OrganisationQuerySet, acting_for

MOST = 200
BARS = 60
# What nobody has looked at for longer is no news.
SEEN_WITHIN = timedelta(days=7)
_ASCENDING = "ts", "id"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilters:
    """What to look for; empty means everything. `caller` is an id or part of a name, of person or key."""

    start: datetime | None = None
    end: datetime | None = None
    caller: str = ""
    key: str = ""
    person: str = ""
    team: str = ""
    model: str = ""
    target: str = ""
    verdict: str = ""
    status: int | None = None
    cache: str = ""
    session: str = ""
    q: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Records, newest first; `newer` and `older` are cursors, empty where there is nothing that way."""

    records: list[Record]
    newer: str = ""
    older: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time: how many exchanges, and how many of them were not simply allowed."""

    start: datetime
    total: int
    acted: int


@dataclass(frozen=True, slots=True)
class Lag:
    """Bytes not yet shipped, lines that could not be, and since when some journal was not looked at."""

    behind: int
    set_aside: int
    seen_at: datetime | None


class CursorError(ValueError):
    """A cursor that is not one of ours."""


def page(organisation_id: str, *, filters: RecordFilters, cursor: str | None = None, limit: int = 50) -> Page:
    """One page; the cursor carries its direction. CursorError when it is not one of ours."""
    limit = min(max(limit, 1), MOST)
    backwards, place = _read_cursor(cursor) if cursor else (False, None)
    with acting_for(organisation_id):
        rows = _found(organisation_id, filters)
        if place is not None:
            rows = rows.filter(_after(place) if backwards else _before(place))
        rows = rows.order_by(*_ASCENDING) if backwards else rows.order_by("-ts", "-id")
        found = list(rows.values_list("ts", "id", Cast("data", TextField()))[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    if backwards:
        found.reverse()
    if not found:
        return Page([])
    newer = _cursor(True, found[0]) if (more if backwards else place is not None) else ""
    older = _cursor(False, found[-1]) if backwards or more else ""
    return Page([decode_record(text) for _ts, _id, text in found], newer, older)


def get(organisation_id: str, record_id: str) -> Record | None:
    """One record of the organisation, None when there is none."""
    if not ids.is_id("req", record_id):
        return None
    with acting_for(organisation_id):
        rows = _rows(organisation_id).filter(ts=ids.moment(record_id), id=record_id)
        text = rows.values_list(Cast("data", TextField()), flat=True).first()
    return None if text is None else decode_record(text)


def any_record(organisation_id: str) -> bool:
    """Whether there ever was an exchange."""
    if organisation_id == EVERYONE:
        return Total.objects.exists()
    return Total.objects.filter(organisation_id=organisation_id).exists()


def histogram(organisation_id: str, filters: RecordFilters, buckets: int = BARS) -> list[Bucket]:
    """Counts over equal stretches of the range, oldest first, empty ones included; the range must be given."""
    start, end = filters.start, filters.end
    if start is None or end is None or end <= start:
        return []
    width = (end - start) / buckets
    with acting_for(organisation_id):
        rows = _found(organisation_id, filters)
        inner, values = rows.values("ts", "verdict").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT width_bucket(extract(epoch FROM ts), %s, %s, %s), count(*), "  # noqa: S608 - from the ORM
                f"count(*) FILTER (WHERE verdict <> 'allowed') FROM ({inner}) AS found GROUP BY 1",
                [start.timestamp(), end.timestamp(), buckets, *values],
            )
            counted = {int(number): (int(total), int(acted)) for number, total, acted in cursor.fetchall()}
    return [Bucket(start + width * index, *counted.get(index + 1, (0, 0))) for index in range(buckets)]


def choices(organisation_id: str, column: str, *, days: int = 7, most: int = 50) -> list[str]:
    """The values of `model`, `target`, `team_name`, `person_name` or `key_name` in the last days, for filter lists."""
    if column not in {"model", "target", "provider", "team_name", "person_name", "key_name"}:
        raise ValueError(f"{column} has no list of values")
    since = clock.now() - timedelta(days=days)
    with acting_for(organisation_id):
        rows = _rows(organisation_id).filter(ts__gte=since).exclude(**{column: ""})
        return list(rows.values_list(column, flat=True).distinct().order_by(column)[:most])


def reveals(organisation_id: str, record_id: str) -> QuerySet[Reveal]:
    """Who read the body of an exchange, newest first."""
    return OrganisationQuerySet(Reveal).of(organisation_id).filter(record_id=record_id).order_by("-id")


def total(organisation_id: str) -> Total:
    """The organisation's all-time counters; they never go down."""
    return Total.objects.filter(organisation_id=organisation_id).first() or Total(
        organisation_id=organisation_id
    )


def journals() -> QuerySet[Shipped]:
    """How far each gateway process's journal is in the database, for the System page and the sweeper."""
    return Shipped.objects.order_by("-lease")


def lag() -> Lag:
    """What gateways have written and the database does not have yet, by the journals seen in the last week."""
    unfinished = Q(closed_at=None)
    found = Shipped.objects.filter(seen_at__gt=clock.now() - SEEN_WITHIN).aggregate(
        behind=Coalesce(Sum("behind", filter=unfinished), 0),
        set_aside=Coalesce(Sum("set_aside"), 0),
        seen_at=Min("seen_at", filter=unfinished),
    )
    return Lag(**found)


def charges_of(organisation_id: str, record_ids: Iterable[str]) -> list[Charge]:
    """What some exchanges were charged, as far as they are recorded."""
    wanted = sorted(record_id for record_id in record_ids if ids.is_id("req", record_id))
    found: list[Charge] = []
    with acting_for(organisation_id):
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            rows = _rows(organisation_id).filter(ts__in=[ids.moment(one) for one in some], id__in=some)
            found += [
                Charge(record_id, charged, tuple(budget_ids), accounted_at)
                for record_id, charged, budget_ids, accounted_at in rows.values_list(
                    "id", "charged", "budget_ids", "accounted_at"
                )
            ]
    return found


def guesses(lease: str, epoch: str) -> list[tuple[str, Charge]]:
    """Organisation and charge of what a process admitted on a share while counters of an epoch were unreachable."""
    if not epoch or not ids.is_id("ls", lease):
        return []
    with acting_for(EVERYONE):
        # A process is older than its exchanges, so older partitions are not looked at.
        rows = _rows(EVERYONE).filter(lease=lease, ts__gte=ids.moment(lease), data__guessed=epoch)
        found = rows.values_list("organisation_id", "id", "charged", "budget_ids", "accounted_at")
        return [(org, Charge(name, charged, tuple(some), at)) for org, name, charged, some, at in found]


def charges(organisation_id: str, record_ids: Iterable[str]) -> dict[str, int]:
    """Record id -> micro-dollars charged, of those that are recorded."""
    return {row.id: row.charged for row in charges_of(organisation_id, record_ids)}


def charges_before_correction(record_ids: Iterable[str]) -> dict[str, int]:
    """Record id -> micro-dollars charged before a correction that counters do not know of yet."""
    rows = unapplied_corrections().filter(record_id__in=list(record_ids))
    return dict(rows.values_list("record_id", "charged_before"))


def spent(organisation_id: str, budget_id: str, start: datetime) -> int:
    """Micro-dollars charged to a budget since a moment that lies on a quarter of an hour."""
    rows = Spend.objects.filter(organisation_id=organisation_id, budget_id=budget_id, bucket__gte=start)
    return int(rows.aggregate(total=Sum("charged"))["total"] or 0)


def unapplied_corrections() -> QuerySet[Correction]:
    """Corrections that the spend counters do not know of yet, oldest first."""
    return Correction.objects.filter(applied_at=None).order_by("id")


def _rows(organisation_id: str) -> QuerySet[RecordRow]:
    return OrganisationQuerySet(RecordRow).of(organisation_id)


def _found(organisation_id: str, filters: RecordFilters) -> QuerySet[RecordRow]:
    rows = _rows(organisation_id)
    if filters.start is not None:
        rows = rows.filter(ts__gte=filters.start)
    if filters.end is not None:
        rows = rows.filter(ts__lt=filters.end)
    exact: dict[str, Any] = {
        "verdict": filters.verdict,
        "cache_hit": filters.cache,
        "session_id": filters.session,
        "model": filters.model,
        "status": filters.status,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value not in ("", None)})
    for text, prefix in ((filters.key, "key"), (filters.person, "person"), (filters.team, "team")):
        if text:
            rows = rows.filter(_named(prefix, text))
    if filters.caller:
        rows = rows.filter(_named("person", filters.caller) | _named("key", filters.caller))
    if filters.target:
        rows = rows.filter(Q(target__icontains=filters.target) | Q(provider__icontains=filters.target))
    if filters.q:
        rows = rows.filter(_anywhere(filters.q))
    return rows


def _named(prefix: str, text: str) -> Q:
    return Q(**{f"{prefix}_id": text}) | Q(**{f"{prefix}_name__icontains": text})


def _anywhere(text: str) -> Q:
    """An id finds its record; other text is looked for in the names."""
    if ids.is_id("req", text):
        return Q(ts=ids.moment(text), id=text)
    found = _named("person", text) | _named("key", text) | _named("team", text)
    for column in ("model", "target", "provider", "session_id", "error_code"):
        found |= Q(**{f"{column}__icontains": text})
    return found


def _before(place: tuple[datetime, str]) -> Q:
    return Q(ts__lte=place[0]) & (Q(ts__lt=place[0]) | Q(id__lt=place[1]))


def _after(place: tuple[datetime, str]) -> Q:
    return Q(ts__gte=place[0]) & (Q(ts__gt=place[0]) | Q(id__gt=place[1]))


def _cursor(backwards: bool, row: tuple[datetime, str, str]) -> str:
    # The id carries its moment, so it is the whole place.
    return base64.urlsafe_b64encode(f"{'n' if backwards else 'o'}{row[1]}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[bool, tuple[datetime, str]]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        return raw[0] == "n", (ids.moment(raw[1:]), raw[1:])
    except (ValueError, IndexError, binascii.Error):
        raise CursorError("not a cursor of this list") from None

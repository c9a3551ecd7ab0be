# SPDX-License-Identifier: Apache-2.0
"""Changes: who changed what, when and why, with the fields before and after."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from apps.changes.selectors import changes as change_rows
from apps.changes.selectors import fields_changed
from apps.core import ids
from apps.dashboard.addresses import changed
from apps.dashboard.filters import LONGEST, Chip
from apps.dashboard.shell import HISTORIANS, Text, actor_of, page, scope_of, show

PER_PAGE = 50
SHOWN = 4
NAMES: dict[str, Text] = {
    "subject": gettext_lazy("Subject"),
    "actor": gettext_lazy("Who"),
    "verb": gettext_lazy("What"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, before and after, as text; a side that does not exist is empty."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the log."""

    id: str
    at: datetime
    actor_id: str
    actor_name: str
    verb: str
    subject_id: str
    subject_name: str
    subject_type: str
    reason: str
    differences: list[Difference]

    @property
    def first(self) -> list[Difference]:
        """The fields that are shown at once."""
        return self.differences[:SHOWN]

    @property
    def rest(self) -> list[Difference]:
        """The fields behind "more"."""
        return self.differences[SHOWN:]


@require_GET
@page(*HISTORIANS)
def changes(request: HttpRequest) -> HttpResponse:
    """The log, newest first, narrowed by subject, actor or verb from the address."""
    actor = actor_of(request)
    chosen = {name: request.GET.get(name, "")[:LONGEST].replace("\x00", "") for name in NAMES}
    before = request.GET.get("before", "")
    rows = change_rows(scope_of(actor), **chosen)
    if ids.is_id("chg", before):
        rows = rows.filter(id__lt=before)
    found = list(rows[: PER_PAGE + 1])
    lines = [_line(row) for row in found[:PER_PAGE]]
    context = {
        "lines": lines,
        "chips": [
            Chip(NAMES[name], _named(name, value, lines), changed(request, **{name: None, "before": None}))
            for name, value in chosen.items()
            if value
        ],
        "older": lines[-1].id if len(found) > PER_PAGE else "",
        "is_first": not before,
    }
    return show(request, "dashboard/changes.html", context)


def _line(row: Any) -> Line:
    return Line(
        id=row.id,
        at=row.at,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        verb=row.verb,
        subject_id=row.subject_id,
        subject_name=row.subject_name,
        subject_type=row.subject_type,
        reason=row.reason,
        differences=_differences(row),
    )


def _differences(row: Any) -> list[Difference]:
    """What changed; of what is new only what it has, of what is gone only what it had."""
    found = []
    for name, (old, new) in fields_changed(row).items():
        before = "" if row.before is None else _text(old)
        after = "" if row.after is None else _text(new)
        empty = (row.before is None and _is_nothing(new)) or (row.after is None and _is_nothing(old))
        if before != after and not empty:
            found.append(Difference(name.replace("_", " "), before, after))
    return found


def _is_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _named(name: str, value: str, lines: list[Line]) -> str:
    """The name behind an id, from the entries at hand."""
    if name == "verb" or not lines:
        return value
    return lines[0].subject_name if name == "subject" else lines[0].actor_name


def _text(value: Any) -> str:
    if _is_nothing(value):
        return _("nothing")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

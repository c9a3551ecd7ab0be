# SPDX-License-Identifier: Apache-2.0
"""The stages of one exchange on one scale: rows of marks in thousandths of the whole, numbers for SVG attributes."""

from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.audit.domain import Attempt, Record

# A mark is never thinner than this many thousandths, or it could not be seen.
THINNEST = 3.0
NAMES: dict[str, str | Promise] = {
    "identify": _("Identify"),
    "inspect": _("Inspect"),
    "admit": _("Admit"),
    "consult": _("Consult"),
    "lookup": _("Look up"),
    "plan": _("Plan"),
    "send": _("Send"),
    "stream": _("Stream"),
    "review": _("Review"),
    "record": _("Record"),
    "settle": _("Settle"),
    "keep": _("Keep"),
}
OWN, UP, BAD, WAIT = "own", "up", "bad", "wait"


@dataclass(frozen=True, slots=True)
class Mark:
    """One piece of a bar; `kind` is its class in app.css."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One stage (all its passes), or one attempt or wait inside sending."""

    name: str | Promise
    took_us: int
    marks: list[Mark] = field(default_factory=list)
    is_part: bool = False


def rows(record: Record) -> list[Row]:
    """One row per stage in the order of its first pass; attempts and waits under the stage `send`."""
    scale = max(
        record.total_us,
        *(stage.began_us + stage.took_us for stage in record.stages),
        *(attempt.began_us + attempt.took_us for attempt in record.attempts),
        1,
    )
    found: dict[str, Row] = {}
    for stage in record.stages:
        row = found.get(stage.name) or Row(NAMES.get(stage.name, stage.name), 0)
        marks = [] if stage.name == "send" else [*row.marks, _mark(OWN, stage.began_us, stage.took_us, scale)]
        found[stage.name] = Row(row.name, row.took_us + stage.took_us, marks)
    parts = _parts(record.attempts, scale)
    if parts and "send" not in found:
        first, last = record.attempts[0], record.attempts[-1]
        found["send"] = Row(NAMES["send"], last.began_us + last.took_us - first.began_us)
    result: list[Row] = []
    for name, row in found.items():
        if name != "send":
            result.append(row)
            continue
        result.append(Row(row.name, row.took_us, [mark for part in parts for mark in part.marks]))
        if len(parts) > 1:
            result += parts
    return result


def _parts(attempts: tuple[Attempt, ...], scale: int) -> list[Row]:
    """Attempts, and the waits between them."""
    parts: list[Row] = []
    free_at = attempts[0].began_us if attempts else 0
    for number, attempt in enumerate(attempts, 1):
        pause = attempt.began_us - free_at
        if pause > 0:
            parts.append(Row(_("wait"), pause, [_mark(WAIT, free_at, pause, scale)], is_part=True))
        kind = UP if attempt.outcome == "ok" else BAD
        mark = _mark(kind, attempt.began_us, attempt.took_us, scale)
        parts.append(Row(f"{number} · {attempt.target}", attempt.took_us, [mark], is_part=True))
        free_at = attempt.began_us + attempt.took_us
    return parts


def _mark(kind: str, began_us: int, took_us: int, scale: int) -> Mark:
    width = max(THINNEST, 1000 * took_us / scale)
    x = min(1000 * began_us / scale, 1000 - width)
    return Mark(kind, round(max(x, 0.0), 1), round(min(width, 1000.0), 1))

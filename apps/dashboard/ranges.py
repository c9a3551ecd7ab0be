# SPDX-License-Identifier: Apache-2.0
"""The time a page looks at: a preset that ends now, or two moments typed into the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PRESETS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
LABELS: dict[str, str | Promise] = {"1h": _("1 h"), "24h": _("24 h"), "7d": _("7 d"), "30d": _("30 d")}
DEFAULT = "24h"
# What a `datetime-local` field sends and expects.
FIELD = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True, slots=True)
class Range:
    """Aware UTC moments; `preset` is empty for an absolute range, `fault` says why the default is shown instead."""

    start: datetime
    end: datetime
    preset: str = ""
    fault: str | Promise = ""

    @property
    def from_field(self) -> str:
        """The start as a form field takes it."""
        return self.start.strftime(FIELD)

    @property
    def to_field(self) -> str:
        """The end as a form field takes it."""
        return self.end.strftime(FIELD)

    @property
    def is_one_day(self) -> bool:
        """Whether the clock alone tells its moments apart."""
        return self.end - self.start <= timedelta(hours=24)

    @property
    def label(self) -> str:
        """Both ends in words, the date once if it is the same."""
        start = _moment(self.start)
        same = self.start.date() == self.end.date()
        return f"{start} \N{EN DASH} {self.end:%H:%M}" if same else f"{start} \N{EN DASH} {_moment(self.end)}"


def read(query: Mapping[str, str], now: datetime) -> Range:
    """The range an address asks for; `from` and `to` (UTC) win over `range`."""
    wanted = query.get("range", DEFAULT)
    preset = wanted if wanted in PRESETS else DEFAULT
    shown = Range(now - PRESETS[preset], now, preset)
    texts = query.get("from", ""), query.get("to", "")
    if not any(texts):
        return shown
    start, end = _parsed(texts[0]), _parsed(texts[1]) if texts[1] else now
    if start is None or end is None:
        return Range(shown.start, shown.end, preset, _("Write both moments like 2026-11-22T14:00."))
    if start >= end:
        return Range(shown.start, shown.end, preset, _("The range must begin before it ends."))
    return Range(start, end)


def _parsed(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def _moment(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %H:%M}"

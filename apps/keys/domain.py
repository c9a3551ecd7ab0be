# SPDX-License-Identifier: Apache-2.0
"""Virtual keys, callers, budgets: frozen values and pure decisions."""

import functools
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from apps.core.values import Value

PREFIX = "sk-sf-"
BOUNDARIES_AHEAD = 3


class Assurance(StrEnum):
    """How sure it is who is behind a request."""

    VERIFIED = "verified"
    ASSERTED = "asserted"
    APPLICATION = "application"


class Window(StrEnum):
    """How often a budget begins anew, by the calendar of its time zone."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LIFETIME = "lifetime"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a caller's path: a limit in whole micro-dollars per window; `limit` None counts only."""

    id: str
    name: str
    window: Window = Window.LIFETIME
    zone: str = "UTC"
    limit: int | None = None
    hard: bool = True


class Key(Value, frozen=True, kw_only=True, tag="key"):
    """A virtual key as gateways see it; the secret is not in it, `digest` is what it is found by."""

    id: str
    organisation_id: str
    organisation_name: str
    digest: str
    name: str
    hint: str
    enabled: bool = True
    expires_ms: int | None = None
    person_id: str = ""
    person_name: str = ""
    email: str = ""
    department: str = ""
    groups: tuple[str, ...] = ()
    team_id: str = ""
    team_name: str = ""
    # Shell patterns over public model names; empty allows none, ("*",) all.
    models: tuple[str, ...] = ("*",)
    requests_per_minute: int | None = None
    requests_at_once: int | None = None
    budgets: tuple[Budget, ...] = ()
    assumed_output_tokens: int | None = None
    may_assert_person: bool = False
    may_override_route: bool = False
    # Shell patterns over "provider/path" that may be passed through; empty allows none.
    passthrough: tuple[str, ...] = ()
    bodies: str = "off"
    demo: bool = False
    version: int = 0


class Absent(Value, frozen=True, kw_only=True, tag="absent"):
    """The published answer "there is no such key"."""

    digest: str


class OpenRecord(Value, frozen=True, kw_only=True):
    """An admitted exchange whose end is not known yet: what a sweeper needs to close it."""

    id: str
    organisation_id: str
    key_id: str
    key_name: str = ""
    key_hint: str = ""
    person_id: str = ""
    person_name: str = ""
    team_id: str = ""
    team_name: str = ""
    model: str = ""
    path: str = ""
    lease: str = ""
    budget_ids: tuple[str, ...] = ()
    reserved: int = 0
    # The store's clock when it admitted the exchange: what chose the budget windows.
    admitted_ms: int = 0
    deadline_ms: int = 0
    demo: bool = False


class Caller(msgspec.Struct, frozen=True):
    """Who is behind one request; needs no key, tokens and sessions make callers too."""

    key: Key
    assurance: Assurance
    person_name: str
    email: str = ""

    @property
    def organisation_id(self) -> str:
        """The tenant."""
        return self.key.organisation_id

    @property
    def has_hard_budget(self) -> bool:
        """Whether admission may never be guessed."""
        return any(budget.hard and budget.limit is not None for budget in self.key.budgets)


def boundaries(window: Window, zone: str, at: datetime) -> tuple[int, ...]:
    """Starts of the current and the next windows as seconds since 1970; the script picks by the store's clock."""
    if window is Window.LIFETIME:
        return (0,)
    second = int(at.timestamp())
    found = starts_at_hour(window, zone, second // 3600)
    # A zone's midnight may lie within the hour: the window that ended there is past.
    return found[1:] if found[1] <= second else found


@functools.lru_cache(maxsize=4096)
def starts_at_hour(window: Window, zone: str, hour: int) -> tuple[int, ...]:
    """The same for an hour since 1970: later windows are in it, so it stays true while the hour lasts."""
    local = datetime.fromtimestamp(hour * 3600, ZoneInfo(zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start = {
        Window.DAY: day,
        Window.WEEK: day - timedelta(days=day.weekday()),
        Window.MONTH: day.replace(day=1),
    }[window]
    found = [start]
    for _ in range(BOUNDARIES_AHEAD - 1):
        found.append(_next(window, found[-1]))
    return tuple(int(moment.astimezone(UTC).timestamp()) for moment in found)


def _next(window: Window, start: datetime) -> datetime:
    """The start of the window after the one that starts at a local midnight."""
    if window is Window.MONTH:
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=1 if window is Window.DAY else 7)

# SPDX-License-Identifier: Apache-2.0
"""Budget windows follow the calendar of their own time zone, through every change of its clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.keys.domain import Window, boundaries

ZONES = st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
MOMENTS = st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
RETURNING = st.sampled_from([Window.DAY, Window.WEEK, Window.MONTH])


def current(starts: tuple[int, ...], at: datetime) -> tuple[int, int]:
    """The window the script picks by its clock: the last that has begun, and its end."""
    begun = [start for start in starts if start <= at.timestamp()]
    return begun[-1], starts[len(begun)]


@given(RETURNING, ZONES, MOMENTS)
def test_a_moment_lies_in_one_of_its_windows(window: Window, zone: str, at: datetime) -> None:
    starts = boundaries(window, zone, at)
    start, end = current(starts, at)

    assert list(starts) == sorted(set(starts))
    assert start <= at.timestamp() < end
    assert start == starts[0]
    # Whoever asked up to an hour ago names the window of now as well.
    assert at.timestamp() + 3600 < starts[-1]


@given(RETURNING, ZONES, MOMENTS)
def test_every_window_begins_at_local_midnight(window: Window, zone: str, at: datetime) -> None:
    for start in boundaries(window, zone, at):
        local = datetime.fromtimestamp(start, ZoneInfo(zone))
        assert (local.hour, local.minute, local.second) == (0, 0, 0)
        assert window is not Window.WEEK or local.weekday() == 0
        assert window is not Window.MONTH or local.day == 1


@given(RETURNING, ZONES, MOMENTS)
def test_the_next_window_seen_from_inside_it_is_the_same(window: Window, zone: str, at: datetime) -> None:
    _, end = current(boundaries(window, zone, at), at)
    later = datetime.fromtimestamp(end, UTC) + timedelta(seconds=1)

    assert current(boundaries(window, zone, later), later)[0] == end


def test_a_day_of_23_hours() -> None:
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    start, end = current(boundaries(Window.DAY, "Europe/London", noon), noon)

    assert end - start == 23 * 3600


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_lifetime_has_one_window(zone: str) -> None:
    assert boundaries(Window.LIFETIME, zone, datetime(2026, 1, 1, tzinfo=UTC)) == (0,)

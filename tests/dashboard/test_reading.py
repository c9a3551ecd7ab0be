# SPDX-License-Identifier: Apache-2.0
"""How a record reads: its sentence, its waterfall, its figures, and the range an address asks for."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.html import strip_tags

from apps.audit.domain import Attempt, Record, Stage, State, Verdict
from apps.dashboard import figures, histogram, ranges, waterfall
from apps.dashboard.exchange import Exchange
from smartflow_site.env import ROOT
from tests.dashboard.records import ATTEMPTS, STAGES, quiet, record

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
NBSP = "\u00a0"


def said(one: Record) -> str:
    """The sentence without markup, with ordinary spaces."""
    return strip_tags(Exchange(one).sentence).replace(NBSP, " ")


def test_a_redacted_exchange_with_a_failed_target() -> None:
    assert said(record("org_1", NOW)) == (
        "Dana Whitfield (Claims) asked claude-sonnet-4-6. 2 values were redacted. "
        "After 1 target failed, anthropic/eu answered in 2.41 s for $0.011718. Smartflow added 10.0 ms."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"verdict": Verdict.BLOCKED, "attempts": ()}, "A policy stopped it."),
        ({"verdict": Verdict.HELD, "attempts": ()}, "It waits for an approver; nothing was reserved."),
        ({"verdict": Verdict.REFUSED, "error_code": "budget_exceeded", "attempts": ()}, "It was refused: budget_exceeded."),
        ({"verdict": Verdict.FAILED, "error_code": "upstream_error", "attempts": ATTEMPTS[:1]}, "1 target was asked and did not answer."),
        ({"state": State.INTERRUPTED}, "The process that served it ended before the answer did"),
        ({"state": State.OPEN}, "It is still running."),
        ({"cache_hit": "exact", "saved": Decimal("0.002")}, "The cache answered (Exact) in 2.41 s; it saved $0.002."),
        ({"person_name": "", "key_name": ""}, "Unknown key (Claims) asked"),
    ],
)  # fmt: skip
def test_every_ending_has_its_sentence(changes: dict[str, Any], expected: str) -> None:
    assert expected in said(quiet("org_1", NOW, **changes))


def test_what_came_from_outside_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    sentence = Exchange(record("org_1", NOW, person_name=hostile, model=hostile, team_name=hostile)).sentence
    assert "<script>" not in sentence
    assert sentence.count("&lt;script&gt;") == 3


def test_braces_from_outside_are_no_placeholders() -> None:
    assert "{cost} {0}" in said(record("org_1", NOW, person_name="{cost} {0}"))


def test_every_stage_that_the_gateway_notes_has_a_name_for_people() -> None:
    sources = (ROOT / "apps" / "gateway").rglob("*.py")
    noted = {name for path in sources for name in re.findall(r'\.stage\("([a-z_]+)"', path.read_text())}

    assert "stream" in noted
    assert noted <= waterfall.NAMES.keys()


def test_the_waterfall_has_one_scale_and_indents_attempts() -> None:
    rows = waterfall.rows(record("org_1", NOW))
    names = [str(row.name) for row in rows]
    assert names == [
        "Identify", "Inspect", "Admit", "Look up", "Plan", "Send",
        "1 · anthropic/us", "wait", "2 · anthropic/eu", "Review", "Record",
    ]  # fmt: skip
    send = rows[5]
    assert [mark.kind for mark in send.marks] == ["bad", "wait", "up"]
    assert [row.is_part for row in rows[6:9]] == [True, True, True]
    wait = rows[7]
    assert wait.took_us == 466_000 - (1_500 + 211_600)


def test_marks_stay_inside_and_can_be_seen() -> None:
    stages = (Stage("admit", 0, 1), Stage("record", 10_000_000, 1))
    for row in waterfall.rows(quiet("org_1", NOW, stages=stages, attempts=(), total_us=10_000_000)):
        for mark in row.marks:
            assert mark.width >= waterfall.THINNEST
            assert 0 <= mark.x <= 1000 - mark.width


def test_a_stage_that_ran_twice_is_one_row() -> None:
    rows = waterfall.rows(
        quiet("org_1", NOW, stages=(Stage("review", 0, 5), Stage("review", 50, 7)), attempts=())
    )
    assert [(row.took_us, len(row.marks)) for row in rows] == [(12, 2)]


def test_attempts_without_a_timed_stage_are_shown() -> None:
    attempt = Attempt("tgt_1", "local", "Local", "m", 10, 90, 0, "connect")
    rows = waterfall.rows(quiet("org_1", NOW, stages=(), attempts=(attempt,), total_us=100))
    assert [(str(row.name), row.took_us, row.marks[0].kind) for row in rows] == [("Send", 90, "bad")]


def test_an_empty_record_has_no_waterfall() -> None:
    assert waterfall.rows(quiet("org_1", NOW, stages=(), attempts=(), total_us=0)) == []


def test_own_time_is_never_negative() -> None:
    assert Exchange(record("org_1", NOW, total_us=5, upstream_us=9)).own_us == 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"), ("0.0117", "0.0117"), ("4200", "4,200.00"), ("0.1", "0.10"), ("0.0000001", "< 0.000001"),
        ("1E-6", "0.000001"), ("12.3456789", "12.345679"),
    ],
)  # fmt: skip
def test_dollars(amount: str, text: str) -> None:
    assert figures.dollars(Decimal(amount)).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(820, "820 µs"), (9_540, "9.5 ms"), (412_000, "412 ms"), (2_412_000, "2.41 s"), (0, "0 µs")],
)
def test_durations(microseconds: int, text: str) -> None:
    assert figures.duration(microseconds).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("microseconds", "text"), [(190, "0.19"), (9_999, "10.00"), (24_040, "24.0"), (2_412_000, "2,412")]
)
def test_milliseconds(microseconds: int, text: str) -> None:
    assert figures.milliseconds(microseconds) == text


@pytest.mark.parametrize(
    ("microseconds", "text"), [(0, "0"), (200, "< 1"), (2_400, "2"), (2_500, "3"), (2_412_000, "2,412")]
)
def test_milliseconds_at_a_glance(microseconds: int, text: str) -> None:
    assert figures.about_milliseconds(microseconds).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0"), ("0.036", "0.036000"), ("0.0000001", "< 0.000001"), ("1200", "1,200.000000")],
)
def test_dollars_in_a_column(amount: str, text: str) -> None:
    assert figures.exact_dollars(Decimal(amount)).replace(NBSP, " ") == text


def test_a_range_ends_now_unless_the_address_says_otherwise() -> None:
    assert ranges.read({}, NOW).start == NOW - timedelta(hours=24)
    assert ranges.read({"range": "1h"}, NOW).start == NOW - timedelta(hours=1)
    assert ranges.read({"range": "nonsense"}, NOW).preset == "24h"


def test_an_absolute_range_is_utc() -> None:
    found = ranges.read({"from": "2026-11-22T14:00", "to": "2026-11-22T16:00:00+02:00"}, NOW)
    assert found.fault
    found = ranges.read({"from": "2026-11-22T14:00", "to": "2026-11-22T17:00:00+02:00"}, NOW)
    assert (found.start.hour, found.end.hour, found.preset, found.fault) == (14, 15, "", "")
    assert found.label == "22 Nov 14:00 \N{EN DASH} 15:00"


@pytest.mark.parametrize(
    "text", ["yesterday", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59", "2026-11-22T16:00"]
)
def test_a_range_that_makes_no_sense_says_so_and_shows_the_default(text: str) -> None:
    found = ranges.read({"from": text, "to": "2026-11-22T15:00"}, NOW)
    assert (found.preset, bool(found.fault)) == ("24h", True)


class Counted:
    """A stretch of time as the audit room counts it."""

    def __init__(self, start: datetime, total: int, acted: int) -> None:
        self.start, self.total, self.acted = start, total, acted


def test_the_strip_gives_rare_verdicts_a_scale_of_their_own() -> None:
    buckets = [
        Counted(NOW + timedelta(minutes=place), total, acted)
        for place, (total, acted) in enumerate([(1000, 1), (10, 0), (0, 0)])
    ]
    strip = histogram.draw(buckets, NOW)
    assert (strip.total, strip.acted, strip.width) == (1010, 1, 12)
    tallest = {bar.kind: bar.height for bar in strip.bars if bar.x == 0.5}
    assert tallest == {"f-allow": 42, "f-redact": 14}
    assert len(strip.bars) == 3
    assert len(strip.rows) == 2


def test_an_empty_strip_is_empty() -> None:
    assert histogram.draw([], NOW).bars == []


def test_the_stages_of_the_fixture_add_up() -> None:
    assert sum(stage.took_us for stage in STAGES) <= 2_412_000

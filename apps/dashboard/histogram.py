# SPDX-License-Identifier: Apache-2.0
"""The strip above the list: exchanges over time, and below them, on a scale of their own, those acted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

BUCKETS = 60
WIDTH, TOP, BOTTOM = 4, 42, 60
GAP = 4


class Bucket(Protocol):
    """What the audit room counts for a stretch of time."""

    @property
    def start(self) -> datetime:
        """When the stretch begins."""

    @property
    def total(self) -> int:
        """Exchanges in it."""

    @property
    def acted(self) -> int:
        """Those that were not simply allowed."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the strip, in units of its viewBox."""

    kind: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """The drawing, its scale marks, and the same as rows for "View as table"."""

    width: int
    bars: list[Bar]
    ticks: list[datetime]
    rows: list[Bucket]
    total: int
    acted: int


def draw(buckets: Sequence[Bucket], end: datetime) -> Strip:
    """Bars from zero; both plots are scaled to their own greatest bucket."""
    most = max((bucket.total for bucket in buckets), default=0) or 1
    most_acted = max((bucket.acted for bucket in buckets), default=0) or 1
    bars: list[Bar] = []
    for place, bucket in enumerate(buckets):
        x = place * WIDTH + 0.5
        if bucket.total:
            bars.append(_bar("f-allow", x, TOP, TOP * bucket.total / most))
        if bucket.acted:
            room = BOTTOM - TOP - GAP
            bars.append(_bar("f-redact", x, BOTTOM, room * bucket.acted / most_acted))
    starts = [bucket.start for bucket in buckets]
    ticks = [*(starts[len(starts) * part // 4] for part in range(4)), end] if starts else []
    return Strip(
        width=len(buckets) * WIDTH,
        bars=bars,
        ticks=ticks,
        rows=[bucket for bucket in buckets if bucket.total],
        total=sum(bucket.total for bucket in buckets),
        acted=sum(bucket.acted for bucket in buckets),
    )


def _bar(kind: str, x: float, floor: float, height: float) -> Bar:
    height = round(max(height, 1.5), 1)
    return Bar(kind, x, round(floor - height, 1), height)

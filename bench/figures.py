# SPDX-License-Identifier: Apache-2.0
"""From slots to figures: minimum, median, maximum, and ratios between rows of one run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

MOST_SCATTER = 2.0


@dataclass(slots=True)
class Slot:
    """One row under load for a few seconds; `cpu_us` is per request, for streams also per event."""

    requests: int
    seconds: float
    cpu_us: float
    cpu_us_event: float
    stores_us: dict[str, float]
    p50_ms: float
    p99_ms: float
    ttft_ms: float
    gap_p50_ms: float
    gap_p99_ms: float


@dataclass(slots=True)
class Series:
    """All slots of a row under one load."""

    row: str
    shape: str
    concurrency: int
    slots: list[Slot] = field(default_factory=list)

    def values(self, name: str) -> list[float]:
        """One figure of every slot."""
        return [float(getattr(slot, name)) for slot in self.slots]

    @property
    def measure(self) -> str:
        """The figure of record: CPU per event for streams, per request otherwise."""
        return "cpu_us_event" if self.shape == "sse" else "cpu_us"

    @property
    def cpu(self) -> "Spread":
        """The figure of record over the rounds."""
        return spread(self.values(self.measure))

    def store_median(self, name: str) -> float:
        """Median CPU per request of a store process in microseconds."""
        return median([slot.stores_us.get(name, 0.0) for slot in self.slots])


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, middle and greatest of some figures."""

    least: float
    middle: float
    most: float

    @property
    def scatter(self) -> float:
        """Greatest over least; 1 where nothing was measured."""
        return self.most / self.least if self.least > 0 else 1.0


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one figure."""
    return Spread(min(values), median(values), max(values))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which the given share of an ordered list lies; 0 of an empty one."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def ratio(of: Series, to: Series) -> float:
    """How many times the CPU of another row this one takes, by medians of the same rounds."""
    base = to.cpu.middle
    return of.cpu.middle / base if base > 0 else 0.0


def too_scattered(series: Sequence[Series], most: float = MOST_SCATTER) -> list[str]:
    """The rows whose rounds lie too far apart to be published."""
    return [
        f"{one.row} ({one.shape}, c={one.concurrency}): {one.cpu.scatter:.1f}"
        for one in series
        if one.slots and one.cpu.scatter > most
    ]

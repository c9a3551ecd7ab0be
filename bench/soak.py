# SPDX-License-Identifier: Apache-2.0
"""Many requests of every kind, and what a gateway process holds after each part of them."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import otherwise, processes, traffic
from bench.ground import GroundError
from bench.measure import slot
from bench.rows import Row

# Looks after each part cost seconds: a short soak has fewer.
PARTS, FEW_PARTS, SHORT = 20, 10, 40_000
# Of a hundred requests: answers as JSON, streams to their end, refusals, clients that leave.
MIX = {"json": 80, "streams": 10, "refused": 6, "left": 4}
# From when on nothing may grow: caches are full, above all the scanner's memory of 8 MB of texts it has seen.
WARM_SHARE, WARM_REQUESTS = 0.2, 8000
# How much more may be resident at the end than after the warm part: the allocator's own ups and downs.
MOST_GROWTH = 0.05
MOST_FILES = 16
_IDLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """After so many requests: megabytes resident, open descriptors."""

    requests: int
    mb: float
    files: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak found; `counts` says how many requests of each kind there were."""

    counts: dict[str, int]
    samples: list[Sample]

    @property
    def warm(self) -> Sample:
        """The sample that the last one is compared with."""
        most = self.samples[-1].requests
        least = min(max(WARM_REQUESTS, most * WARM_SHARE), most * 0.75)
        return next(sample for sample in self.samples if sample.requests >= least)

    @property
    def growth(self) -> float:
        """How much more memory there is at the end than when warm, as a share."""
        return self.samples[-1].mb / self.warm.mb - 1

    @property
    def bytes_per_request(self) -> float:
        """The same, divided by the requests between the two."""
        between = self.samples[-1].requests - self.warm.requests
        return (self.samples[-1].mb - self.warm.mb) * 1024 * 1024 / between

    @property
    def flat(self) -> bool:
        """Whether neither memory nor descriptors grew."""
        return self.growth <= MOST_GROWTH and self.samples[-1].files - self.warm.files <= MOST_FILES


def soak(row: Row, requests: int, say: Callable[[str], None]) -> Soaked:
    """Send the mix in equal parts and look after each; GroundError when the gateway keeps ended exchanges."""
    parts = PARTS if requests > SHORT else FEW_PARTS
    row = replace(row, ways={**row.ways, traffic.BURST.name: row.ways["sse"]})
    counts = {kind: requests // parts * share // 100 for kind, share in MIX.items()}
    found = [Sample(0, processes.rss_kb(row.pid) / 1024, processes.open_files(row.pid))]
    for part in range(1, parts + 1):
        slot(row, traffic.JSON, 16, requests=counts["json"])
        slot(row, traffic.BURST, 16, requests=counts["streams"])
        otherwise.refuse(row, counts["refused"])
        otherwise.leave(row, counts["left"])
        _wait_idle(row.ways["json"].port)
        found.append(
            Sample(
                part * sum(counts.values()), processes.rss_kb(row.pid) / 1024, processes.open_files(row.pid)
            )
        )
        say(f"{found[-1].requests} requests: {found[-1].mb:.1f} MB, {found[-1].files} descriptors")
    return Soaked({kind: count * parts for kind, count in counts.items()}, found)


def _wait_idle(port: int) -> None:
    """Wait until the gateway says that no exchange is under way: those that were left take a moment to end."""
    began = time.monotonic()
    gauges: list[str] = []
    while time.monotonic() - began < _IDLE_SECONDS:
        # Longer than the gateway takes from one setting of its gauges to the next.
        time.sleep(1.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        gauges = [
            line for line in lines if line.startswith(("smartflow_exchanges_under", "smartflow_streams_open"))
        ]
        if len(gauges) == 2 and all(float(line.split()[-1]) == 0 for line in gauges):
            return
    raise GroundError(f"exchanges do not end: {gauges}")

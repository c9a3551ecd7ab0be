# SPDX-License-Identifier: Apache-2.0
"""Many requests, and the memory of the process after each part of them."""

from collections.abc import Callable

from bench import processes, traffic
from bench.measure import slot
from bench.rows import Row

PARTS = 20
MOST_GROWTH = 0.10


def soak(row: Row, requests: int, say: Callable[[str], None]) -> list[tuple[int, float]]:
    """(requests so far, MB resident) after each part; a tenth of streams among them would only make it longer."""
    found = [(0, processes.rss_kb(row.pid) / 1024)]
    for part in range(PARTS):
        slot(row, traffic.JSON, 16, requests=requests // PARTS)
        found.append(((part + 1) * (requests // PARTS), processes.rss_kb(row.pid) / 1024))
        say(f"{found[-1][0]} requests: {found[-1][1]:.1f} MB")
    return found


def growth(samples: list[tuple[int, float]]) -> float:
    """How much more memory the last third holds than the second quarter: the first one fills caches."""
    sizes = [size for _, size in samples]
    early, late = sizes[len(sizes) // 4 : len(sizes) // 2], sizes[-len(sizes) // 3 :]
    return sum(late) / len(late) / (sum(early) / len(early)) - 1

# SPDX-License-Identifier: Apache-2.0
"""The one place that asks what time it is; everything aware, everything UTC."""

import time
from datetime import UTC, datetime

monotonic_ns = time.monotonic_ns


def now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC moment of a number of milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)

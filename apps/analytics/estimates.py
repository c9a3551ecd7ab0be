# SPDX-License-Identifier: Apache-2.0
"""How far estimates of input tokens are from what providers count, by model, measured on records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from apps.audit import selectors as audit
from apps.audit.domain import Record, UsageSource


@dataclass(slots=True)
class Measured:
    """Estimated over counted tokens: of all requests together, the lowest and the highest of one."""

    records: int = 0
    estimated: int = 0
    counted: int = 0
    lowest: float = 0.0
    highest: float = 0.0

    @property
    def ratio(self) -> float:
        """Below 1, estimates are too low."""
        return self.estimated / self.counted if self.counted else 0.0

    def add(self, estimated: int, counted: int) -> None:
        """One more request."""
        ratio = estimated / counted
        self.lowest = min(self.lowest, ratio) if self.records else ratio
        self.highest = max(self.highest, ratio)
        self.records += 1
        self.estimated += estimated
        self.counted += counted


def measure(organisation_id: str, start: datetime, end: datetime) -> dict[str, Measured]:
    """Model -> its estimates over a stretch of time; only requests whose input the provider counted."""
    found: dict[str, Measured] = {}
    for record in _records(organisation_id, start, end):
        if record.usage_source is UsageSource.PROVIDER and record.estimated_input and record.input_tokens:
            found.setdefault(record.model, Measured()).add(record.estimated_input, record.input_tokens)
    return found


def _records(organisation_id: str, start: datetime, end: datetime) -> Iterator[Record]:
    filters = audit.RecordFilters(start=start, end=end)
    cursor: str | None = None
    while cursor != "":
        page = audit.page(organisation_id, filters=filters, cursor=cursor, limit=audit.MOST)
        yield from page.records
        cursor = page.older

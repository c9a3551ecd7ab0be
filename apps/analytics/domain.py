# SPDX-License-Identifier: Apache-2.0
"""Values of this room."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the counter of a budget says about a window, and what the records say; micro-dollars."""

    organisation_id: str
    budget_id: str
    window_start: datetime
    counted: int
    recorded: int

    @property
    def gap(self) -> int:
        """How much more the counter says."""
        return self.counted - self.recorded

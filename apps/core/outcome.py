# SPDX-License-Identifier: Apache-2.0
"""How a stage says no: a refusal is a value, its code a row of the table in `errors.py`."""

from dataclasses import dataclass

from apps.core.errors import TABLE


@dataclass(frozen=True, slots=True)
class Refuse:
    """Why a request goes no further: what happened, whose rule it was, what to do next; never a secret."""

    code: str
    message: str
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    # Only where the upstream's own status is handed on.
    upstream_status: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.upstream_status or TABLE[self.code].status

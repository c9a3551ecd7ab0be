# SPDX-License-Identifier: Apache-2.0
"""Targets and the order in which a request tries them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apps.core.values import Value
from apps.providers.domain import Rates


class Target(Value, frozen=True, kw_only=True):
    """One way to reach a model: a provider and its own name for it; lower `rank` goes first.

    `rates` and `later` are its prices (see the model's) where they are not those of the model.
    """

    id: str
    organisation_id: str
    name: str
    model_id: str
    provider_id: str
    upstream_model: str
    rank: int = 0
    drained: bool = False
    rates: Rates | None = None
    later: tuple[Rates, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Targets by model, in order; made once per snapshot."""

    by_model: Mapping[str, tuple[Target, ...]]

    @classmethod
    def of(cls, targets: Iterable[Target]) -> "Table":
        """The table of one organisation's targets; drained ones are left out."""
        found: dict[str, list[Target]] = {}
        for target in targets:
            if not target.drained:
                found.setdefault(target.model_id, []).append(target)
        return cls({m: tuple(sorted(some, key=lambda t: (t.rank, t.id))) for m, some in found.items()})

# SPDX-License-Identifier: Apache-2.0
"""The kinds of callers the gateway is measured with: same process, different organisation and key."""

from dataclasses import dataclass, field

JSON_MODEL, SSE_MODEL = "bench-json", "bench-sse"


@dataclass(frozen=True, slots=True)
class Variant:
    """One organisation with one key: how many policies, which budget nodes, which headers."""

    name: str
    what: str
    policies: int
    nodes: tuple[str, ...]
    requests_per_minute: int | None = 10_000_000
    headers: dict[str, str] = field(default_factory=dict)
    stage: bool = True


LEAN_NODES = ("key",)
FULL_NODES = ("organisation", "team", "key", "key", "key")
VARIANTS = (
    Variant("Lean", "key, limits, one budget, exact probe, one PII policy both ways, record", 1, LEAN_NODES, stage=False),
    Variant("Full", "five budget nodes and 50 policies over PII both ways", 50, FULL_NODES, stage=False),
    Variant("Lean - policy", "Lean without a policy", 0, LEAN_NODES),
    Variant("Lean - budget", "Lean without a budget", 1, ()),
    Variant("Lean - limits", "Lean without budget and limits", 1, (), requests_per_minute=None),
    Variant("Lean - cache", "Lean, told to leave the cache alone", 1, LEAN_NODES, headers={"x-smartflow-cache": "skip"}),
    Variant("Bare", "key and record only", 0, (), None, {"x-smartflow-cache": "skip"}),
)  # fmt: skip

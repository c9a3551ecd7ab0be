# SPDX-License-Identifier: Apache-2.0
"""The step that plans: which targets are tried, in which order."""

from collections.abc import Mapping

from apps.core.outcome import Refuse
from apps.routing.domain import Table, Target

MOST = 2


def plan(
    table: Table, model_id: str, model: str, usable: Mapping[str, object]
) -> tuple[Target, ...] | Refuse:
    """The first target of a model and one to fall back to; `usable` holds the ids of providers that are enabled."""
    targets = [target for target in table.by_model.get(model_id, ()) if target.provider_id in usable]
    if not targets:
        return Refuse(
            "no_target",
            f"Model “{model}” has no target that may be used now; they are drained or not set up.",
        )
    return tuple(targets[:MOST])

# SPDX-License-Identifier: Apache-2.0
"""Reading what a client sent, where no dialect's own words are needed."""

from collections.abc import Mapping, Set
from typing import Any

from apps.providers.pairs.pair import Ask


def only(given: Mapping[str, Any], known: Set[str], param: str, ask: Ask) -> None:
    """Refuse what is not among the known fields; nulls say nothing."""
    if given.keys() <= known:
        return
    for name, value in given.items():
        if name not in known and value is not None:
            ask.cannot(f"{param}.{name}" if param else name, "is nothing that this provider can be told")

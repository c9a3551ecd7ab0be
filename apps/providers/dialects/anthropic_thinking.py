# SPDX-License-Identifier: Apache-2.0
"""What a Claude takes by its name, thinking first: efforts as `thinking` and `output_config.effort`, and back.

Models since 4.6 decide for themselves how long to think and take an effort; those before take a budget of tokens,
and those before 3.7 do not think. A name that says no version is asked for what the client wants.
"""

import re
from typing import Any

Object = dict[str, Any]

LEAST_BUDGET = 1024
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
_FIRST_THINKING, _FIRST_ADAPTIVE, _FIRST_UNSAMPLED = (3, 7), (4, 6), (4, 7)
# claude-3-7-sonnet-20250219, claude-sonnet-4-5-20250929, claude-opus-4.6, claude-opus-5: a date is no version.
_version = re.compile(r"claude(?:-[a-z]+)?-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


def version(model: str) -> tuple[int, int] | None:
    """Generation and step of a Claude by its name; None where the name does not say."""
    found = _version.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def thinks(model: str) -> bool:
    """Whether a model can think before it answers."""
    return (version(model) or _FIRST_ADAPTIVE) >= _FIRST_THINKING


def adaptive(model: str) -> bool:
    """Whether a model takes an effort rather than a budget."""
    return (version(model) or _FIRST_ADAPTIVE) >= _FIRST_ADAPTIVE


def samples(model: str) -> bool:
    """Whether a model still takes temperature, top_p and top_k."""
    return (version(model) or _FIRST_ADAPTIVE) < _FIRST_UNSAMPLED


def goes_on(model: str) -> bool:
    """Whether a model goes on from an answer that the request begins."""
    return (version(model) or _FIRST_THINKING) < _FIRST_ADAPTIVE


def effort_of(name: str) -> str:
    """The nearest effort that Anthropic has: it knows no `minimal`."""
    return "low" if name == "minimal" else name


def budget_of(effort: str, most_tokens: int) -> int:
    """Tokens to think with: at most half of the tokens of the answer, 0 where that is too few to think at all."""
    budget = max(LEAST_BUDGET, min(_BUDGETS[effort], most_tokens // 2))
    return budget if budget < most_tokens else 0


def effort_of_budget(budget: int) -> str:
    """The effort that a budget stands for."""
    return next((name for name, tokens in _BUDGETS.items() if name != "minimal" and budget <= tokens), "max")

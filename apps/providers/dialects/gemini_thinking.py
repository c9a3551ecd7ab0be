# SPDX-License-Identifier: Apache-2.0
"""Gemini's `thinkingConfig` and words of effort: levels from Gemini 3 on, budgets in tokens before.

The numbers are those of Google's own OpenAI-compatible endpoint (ai.google.dev/gemini-api/docs/openai).
"""

import re
from collections.abc import Mapping
from typing import Any

_VERSION = re.compile(r"gemini-(\d+)")
_BUDGETS = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
_LEVELS = {
    "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH", "max": "XHIGH",
}  # fmt: skip
_OF_LEVEL = {level: effort for effort, level in _LEVELS.items() if effort != "max"}
EFFORTS = frozenset(_BUDGETS)
_FIRST_WITH_LEVELS = 3


def takes_levels(model: str) -> bool:
    """Whether a model is steered by levels, and wants its signatures back; names without a version are the newest."""
    version = _version(model)
    return version is None or version >= _FIRST_WITH_LEVELS


def thinking_of(effort: str, model: str) -> dict[str, Any] | None:
    """The `thinkingConfig` for a word of effort; None where the model cannot do that (it cannot stop thinking)."""
    if not takes_levels(model):
        budget = _BUDGETS[effort]
        if not budget:
            return None if "pro" in model else {"thinkingBudget": 0}
        return {"thinkingBudget": budget, "includeThoughts": True}
    level = _LEVELS.get(effort)
    if level and _version(model) == _FIRST_WITH_LEVELS:
        level = {"XHIGH": "HIGH", "MINIMAL": "LOW" if "pro" in model else "MINIMAL"}.get(level, level)
    return {"thinkingLevel": level, "includeThoughts": True} if level else None


def effort_of(config: Mapping[str, Any]) -> str:
    """The word of effort for a `thinkingConfig`; empty where the model decides. ValueError when it says nonsense."""
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level not in (None, "", "THINKING_LEVEL_UNSPECIFIED"):
        effort = _OF_LEVEL.get(str(level).upper())
        if effort is None:
            raise ValueError("is no level of thinking")
        return effort
    if budget is None:
        return ""
    if type(budget) is not int:
        raise ValueError("must be a whole number")
    if budget < 0:
        return ""
    return next((word for word in ("none", "low", "medium") if budget <= _BUDGETS[word]), "high")


def _version(model: str) -> int | None:
    found = _VERSION.search(model)
    return int(found.group(1)) if found else None

# SPDX-License-Identifier: Apache-2.0
"""`thinkingConfig` as Anthropic's `thinking` and effort, by what the model takes."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_thinking as claude
from apps.providers.dialects import gemini_thinking
from apps.providers.dialects.gemini_parts import camel
from apps.providers.pairs.fields import only
from apps.providers.pairs.gemini_anthropic.read import as_flag, as_whole
from apps.providers.pairs.pair import Ask, InvalidError, Object

_PATH = "generationConfig.thinkingConfig"
_FIELDS = frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"})
_THINKING = frozenset({"thinking", "redacted_thinking"})


def is_on(body: Mapping[str, Any]) -> bool:
    """Whether a request asks for thinking."""
    return body.get("thinking", {}).get("type") in {"enabled", "adaptive"}


def add_thinking(body: Object, config: Mapping[str, Any], most: int, ask: Ask) -> None:
    """Write `thinking` and `output_config.effort`."""
    given = camel(config.get("thinkingConfig", {}), _PATH)
    only(given, _FIELDS, _PATH, ask)
    try:
        effort = gemini_thinking.effort_of(given)
    except ValueError as fault:
        raise InvalidError(_PATH, str(fault)) from None
    shown = as_flag(given.get("includeThoughts"), f"{_PATH}.includeThoughts")
    if effort == "none":
        if claude.thinks(ask.upstream_model):
            body["thinking"] = {"type": "disabled"}
        return
    if not (effort or shown or "thinkingBudget" in given):
        return
    if not claude.thinks(ask.upstream_model):
        ask.cannot(_PATH, "is not offered by this model of Anthropic's: it does not think")
    elif claude.adaptive(ask.upstream_model):
        body["thinking"] = {"type": "adaptive", "display": "summarized" if shown else "omitted"}
        if effort:
            body["output_config"] = {"effort": claude.effort_of(effort)}
    elif not _goes_on_unsigned(body["messages"]):
        _add_budget(body, given, effort, most, ask, shown=shown)


def _add_budget(
    body: Object, given: Mapping[str, Any], effort: str, most: int, ask: Ask, *, shown: bool
) -> None:
    budget = given.get("thinkingBudget")
    if isinstance(budget, int) and budget > 0:
        budget = max(claude.LEAST_BUDGET, as_whole(budget, f"{_PATH}.thinkingBudget", 0))
        budget = min(budget, most - 1)
    else:
        budget = claude.budget_of(effort or "medium", most)
    if budget < claude.LEAST_BUDGET:
        ask.cannot(_PATH, "needs maxOutputTokens above 1024 at Anthropic")
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if not shown:
        body["thinking"]["display"] = "omitted"


def _goes_on_unsigned(turns: list[Object]) -> bool:
    """Whether tool results go on from calls whose thinking the client did not give back: there it cannot think."""
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in _THINKING

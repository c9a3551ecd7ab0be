# SPDX-License-Identifier: Apache-2.0
"""Service tiers by the names that prices have: which one a request asks for, which one an answer says it had."""

from collections.abc import Mapping
from typing import Any

_TRAFFIC = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex", "ON_DEMAND": "standard"}
# OpenAI serves either word as the other.
_ALIKE = ("priority", "fast")


def asked(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The tiers that a request of any dialect may be served by, beside the standard one."""
    for name in ("service_tier", "serviceTier", "speed"):
        if name in fields and isinstance(tier := fields[name], str):
            tier = tier.lower().removeprefix("service_tier_")
            if tier in _ALIKE:
                return _ALIKE
            if name != "speed":
                return (tier,)
    return ()


def served(answer: Mapping[str, Any]) -> str:
    """The tier that an answer or event of any dialect names, in the provider's word; empty where it names none."""
    tier = answer.get("service_tier")
    if isinstance(tier, str):
        return tier[:40]
    usage = answer.get("usage")
    if usage is None and isinstance(message := answer.get("message"), dict):
        usage = message.get("usage")
    if isinstance(usage, dict):
        return _of_anthropic(usage)
    usage = answer.get("usageMetadata")
    return _of_gemini(usage) if isinstance(usage, dict) else ""


def _of_anthropic(usage: Mapping[str, Any]) -> str:
    if usage.get("speed") == "fast":
        return "fast"
    tier = usage.get("service_tier")
    return tier[:40] if isinstance(tier, str) else ""


def _of_gemini(usage: Mapping[str, Any]) -> str:
    tier = usage.get("serviceTier")
    if isinstance(tier, str):
        return tier.lower()[:40]
    traffic = usage.get("trafficType")
    return _TRAFFIC.get(traffic, traffic.lower()[:40]) if isinstance(traffic, str) else ""

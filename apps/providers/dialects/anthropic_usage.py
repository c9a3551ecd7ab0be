# SPDX-License-Identifier: Apache-2.0
"""What Anthropic says about usage: `input_tokens` leaves out what the cache had; a stream tells it twice."""

from collections.abc import Mapping
from typing import Any

from apps.providers.usage import WEB_SEARCH, Partial

_TOOLS = (("web_search_requests", WEB_SEARCH), ("web_fetch_requests", "web_fetch"))


def partial(raw: Any) -> Partial | None:
    """The canonical part that a `usage` object says; None where there is none."""
    if not isinstance(raw, Mapping):
        return None
    details = raw.get("output_tokens_details")
    short, long = _writes(raw)
    return Partial(
        fresh=_count(raw, "input_tokens"),
        output=_count(raw, "output_tokens"),
        cache_read=_count(raw, "cache_read_input_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        reasoning=_count(details, "thinking_tokens") if isinstance(details, Mapping) else None,
        tools=_tools(raw.get("server_tool_use")),
    )


def merged(earlier: Mapping[str, Any], later: Any) -> dict[str, Any]:
    """Two `usage` objects of one stream as one: the counts are running totals, so a later one that is said holds."""
    if not isinstance(later, Mapping):
        return dict(earlier)
    return {**earlier, **{name: value for name, value in later.items() if value is not None}}


def counts(raw: Mapping[str, Any]) -> tuple[int, int, int, int, int | None]:
    """Input without the cache, cache read, cache written, output, and thinking where it is told apart."""
    details = raw.get("output_tokens_details")
    return (
        _count(raw, "input_tokens") or 0,
        _count(raw, "cache_read_input_tokens") or 0,
        _count(raw, "cache_creation_input_tokens") or 0,
        _count(raw, "output_tokens") or 0,
        _count(details, "thinking_tokens") if isinstance(details, Mapping) else None,
    )


def _writes(raw: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens written for five minutes and for an hour; the sum counts as five minutes where it is not told apart."""
    written = _count(raw, "cache_creation_input_tokens")
    split = raw.get("cache_creation")
    if not isinstance(split, Mapping):
        return written, None
    return _count(split, "ephemeral_5m_input_tokens"), _count(split, "ephemeral_1h_input_tokens")


def _tools(raw: Any) -> dict[str, int] | None:
    if not isinstance(raw, Mapping):
        return None
    return {name: calls for field, name in _TOOLS if (calls := _count(raw, field))}


def _count(raw: Mapping[str, Any], name: str) -> int | None:
    value = raw.get(name)
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else None

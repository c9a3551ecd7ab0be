# SPDX-License-Identifier: Apache-2.0
"""What one call used, in one form that every wire dialect maps to and from.

`input` counts ALL tokens of the prompt and `output` ALL that were made: every other token count is a part of one of
them, never beside it. A dialect that reports the rest instead of the whole says so with `Partial.fresh` or `.visible`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

# What a signed 64-bit column holds; a provider that claims more is not believed.
MOST = 2**63 - 1
WEB_SEARCH, CODE_EXECUTION, FILE_SEARCH = "web_search", "code_execution", "file_search"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of one call; see each group for what it is a part of."""

    input: int = 0
    output: int = 0
    # Parts of `input` by how the provider's cache had them; what is left was read afresh.
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    # Parts of `input` by what they stand for (tokens); the cached ones are parts of `cache_read` as well.
    audio_input: int = 0
    image_input: int = 0
    video_input: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    # Parts of `output`.
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    # Beside the tokens: pictures made, seconds of sound or film, characters and pages read.
    images: int = 0
    seconds: int = 0
    characters: int = 0
    pages: int = 0
    # Calls of tools that the provider runs itself, by name.
    tools: dict[str, int] = {}
    requests: int = 1

    @property
    def cached(self) -> int:
        """The part of `input` that the provider's cache held."""
        return self.cache_read

    @property
    def fresh(self) -> int:
        """The part of `input` that was neither read from the provider's cache nor written to it."""
        return max(0, self.input - self.cache_read - self.cache_write_5m - self.cache_write_1h)

    @property
    def visible(self) -> int:
        """The part of `output` that is not reasoning."""
        return max(0, self.output - self.reasoning)

    def to_record(self) -> dict[str, Any]:
        """The JSON form that records keep: counts that say nothing are left out."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """What one event of a stream says about usage; None means that it does not say."""

    input: int | None = None
    output: int | None = None
    # Instead of `input`: the prompt without what was read from and written to the cache.
    fresh: int | None = None
    # Instead of `output`: what was made without reasoning.
    visible: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    image_input: int | None = None
    video_input: int | None = None
    cached_audio: int | None = None
    cached_image: int | None = None
    reasoning: int | None = None
    audio_output: int | None = None
    image_output: int | None = None
    images: int | None = None
    seconds: int | None = None
    characters: int | None = None
    pages: int | None = None
    tools: dict[str, int] | None = None

    def whole(self) -> Usage:
        """The usage as far as it is known; counts that cannot be are brought within their bounds."""
        known = _said(self)
        tools = {name: _count(calls) for name, calls in known.pop("tools", {}).items() if calls > 0}
        counts = {name: _count(number) for name, number in known.items()}
        fresh, visible = counts.pop("fresh", None), counts.pop("visible", None)
        cached = sum(counts.get(name, 0) for name in _STORED)
        if "input" not in counts and (fresh is not None or cached):
            counts["input"] = min(MOST, (fresh or 0) + cached)
        if "output" not in counts and (visible is not None or "reasoning" in counts):
            counts["output"] = min(MOST, (visible or 0) + counts.get("reasoning", 0))
        _bound(counts)
        return Usage(**counts, tools=tools)


_STORED = ("cache_read", "cache_write_5m", "cache_write_1h")
_PARTS = {
    "audio_input": "input",
    "image_input": "input",
    "video_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}


def merge(earlier: Partial | None, later: Partial) -> Partial:
    """Two reports of one call: what the later one says holds, what it leaves open stays."""
    if earlier is None:
        return later
    before, after = _said(earlier), _said(later)
    if "tools" in before and "tools" in after:
        after["tools"] = before["tools"] | after["tools"]
    return Partial(**(before | after))


def total(*usages: Usage) -> Usage:
    """What several calls used together."""
    tools: dict[str, int] = {}
    for usage in usages:
        for name, calls in usage.tools.items():
            tools[name] = tools.get(name, 0) + calls
    counts = {
        name: min(MOST, sum(getattr(usage, name) for usage in usages))
        for name in Usage.__struct_fields__
        if name != "tools"
    }
    return Usage(**counts, tools=tools)


def from_record(stored: Mapping[str, Any]) -> Usage:
    """The usage in a record; ValueError when it is none, and counts of later versions are passed over."""
    try:
        return msgspec.convert(stored, Usage)
    except msgspec.ValidationError as fault:
        raise ValueError(f"not a usage: {fault}") from None


def _said(partial: Partial) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(partial).items() if value is not None}


def _count(number: int) -> int:
    return min(MOST, max(0, number))


def _bound(counts: dict[str, int]) -> None:
    """Parts are never more than what they are parts of."""
    left = counts.get("input", 0)
    for name in _STORED:
        if name in counts:
            counts[name] = min(counts[name], left)
            left -= counts[name]
    for name, whole in _PARTS.items():
        if name in counts:
            counts[name] = min(counts[name], counts.get(whole, 0))
    for kind in ("audio", "image"):
        if (name := f"cached_{kind}") in counts:
            counts[name] = min(counts[name], counts.get("cache_read", 0), counts.get(f"{kind}_input", 0))

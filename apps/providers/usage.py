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
        counts = {name: _count(getattr(self, name)) for name in _COUNTS}
        tools = {name: _count(calls) for name, calls in (self.tools or {}).items() if calls > 0}
        cached = counts["cache_read"] + counts["cache_write_5m"] + counts["cache_write_1h"]
        if self.input is None and (self.fresh is not None or cached):
            counts["input"] = min(MOST, _count(self.fresh) + cached)
        if self.output is None and (self.visible is not None or counts["reasoning"]):
            counts["output"] = min(MOST, _count(self.visible) + counts["reasoning"])
        return Usage(**_bounded(counts), tools=tools)


_COUNTS = tuple(
    field.name for field in msgspec.structs.fields(Usage) if field.name not in {"tools", "requests"}
)
_PARTIAL = tuple(field.name for field in msgspec.structs.fields(Partial) if field.name != "tools")
_IN_INPUT = ("audio_input", "image_input", "video_input")
_IN_OUTPUT = ("reasoning", "audio_output", "image_output")


def merge(earlier: Partial | None, later: Partial) -> Partial:
    """Two reports of one call: what the later one says holds, what it leaves open stays."""
    if earlier is None:
        return later
    known: dict[str, Any] = {
        name: old if (new := getattr(later, name)) is None else new
        for name, old in ((name, getattr(earlier, name)) for name in _PARTIAL)
    }
    if later.tools is None:
        known["tools"] = earlier.tools
    else:
        known["tools"] = {**(earlier.tools or {}), **later.tools}
    return Partial(**known)


def total(*usages: Usage) -> Usage:
    """What several calls used together."""
    tools: dict[str, int] = {}
    for usage in usages:
        for name, calls in usage.tools.items():
            tools[name] = tools.get(name, 0) + calls
    counts = {
        name: min(MOST, sum(getattr(usage, name) for usage in usages)) for name in (*_COUNTS, "requests")
    }
    return Usage(**counts, tools=tools)


def from_record(stored: Mapping[str, Any]) -> Usage:
    """The usage in a record; ValueError when it is none, and counts of later versions are passed over."""
    try:
        return msgspec.convert(stored, Usage)
    except msgspec.ValidationError as fault:
        raise ValueError(f"not a usage: {fault}") from None


def _count(number: int | None) -> int:
    return 0 if number is None else min(MOST, max(0, number))


def _bounded(counts: dict[str, int]) -> dict[str, int]:
    """Parts are never more than what they are parts of."""
    left = counts["input"]
    for name in ("cache_read", "cache_write_5m", "cache_write_1h"):
        counts[name] = min(counts[name], left)
        left -= counts[name]
    for names, whole in ((_IN_INPUT, counts["input"]), (_IN_OUTPUT, counts["output"])):
        for name in names:
            counts[name] = min(counts[name], whole)
    for kind in ("audio", "image"):
        counts[f"cached_{kind}"] = min(
            counts[f"cached_{kind}"], counts["cache_read"], counts[f"{kind}_input"]
        )
    return counts

# SPDX-License-Identifier: Apache-2.0
"""OpenAI's `usage`: the prompt holds what was cached and written to the cache, the completion what was reasoned."""

from typing import Any

import msgspec

from apps.providers.usage import MOST, Usage


class _Read(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Made(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Read | None = None
    completion_tokens_details: _Made | None = None
    # Where compatible servers tell the same: DeepSeek, then Moonshot and StepFun.
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None


def read_usage(raw: Any) -> Usage | None:
    """The canonical usage of a `usage` object; None where it is none. Parts are never more than their whole."""
    if not isinstance(raw, dict):
        return None
    try:
        told = msgspec.convert(raw, _Usage)
    except msgspec.ValidationError:
        return None
    read, made = told.prompt_tokens_details, told.completion_tokens_details
    whole = _within(told.prompt_tokens, MOST)
    output = _within(told.completion_tokens, MOST)
    cached = (read.cached_tokens if read else 0) or told.prompt_cache_hit_tokens or told.cached_tokens
    cached = _within(cached, whole)
    return Usage(
        input=whole,
        output=output,
        cache_read=cached,
        cache_write_5m=_within(read.cache_write_tokens, whole - cached) if read else 0,
        audio_input=_within(read.audio_tokens, whole) if read else 0,
        image_input=_within(read.image_tokens, whole) if read else 0,
        reasoning=_within(made.reasoning_tokens, output) if made else 0,
        audio_output=_within(made.audio_tokens, output) if made else 0,
        image_output=_within(made.image_tokens, output) if made else 0,
    )


def _within(count: int | None, most: int) -> int:
    return min(most, count) if count and count > 0 else 0

# SPDX-License-Identifier: Apache-2.0
"""Gemini's `usageMetadata`: counts of candidates leave thoughts out, and results of Google's own tools stand beside."""

from collections.abc import Iterable, Mapping
from typing import Any

from apps.providers.usage import MOST, Usage


def count(value: Any) -> int:
    """A count as JSON tells it; what is no count is none."""
    return min(MOST, max(0, value)) if type(value) is int else 0


def read_usage(told: Any) -> Usage | None:
    """The canonical usage of a `usageMetadata`; None when there is none."""
    if not isinstance(told, dict) or not told:
        return None
    beside = count(told.get("toolUsePromptTokenCount"))
    prompt = min(MOST, count(told.get("promptTokenCount")) + beside)
    thoughts = count(told.get("thoughtsTokenCount"))
    output = min(MOST, count(told.get("candidatesTokenCount")) + thoughts)
    cached = min(count(told.get("cachedContentTokenCount")), prompt)
    if not (told.keys() & _DETAILS):
        return Usage(input=prompt, output=output, cache_read=cached, reasoning=thoughts)
    read = _by_modality(told.get("promptTokensDetails"), told.get("toolUsePromptTokensDetails"))
    made = _by_modality(told.get("candidatesTokensDetails"))
    held = _by_modality(told.get("cacheTokensDetails"))
    audio = min(read.get("AUDIO", 0), prompt)
    return Usage(
        input=prompt,
        output=output,
        cache_read=cached,
        reasoning=thoughts,
        audio_input=audio,
        image_input=min(read.get("IMAGE", 0), prompt),
        video_input=min(read.get("VIDEO", 0), prompt),
        cached_audio=min(held.get("AUDIO", 0), cached, audio),
        audio_output=min(made.get("AUDIO", 0), output),
        image_output=min(made.get("IMAGE", 0), output),
    )


def usage_metadata(
    *,
    prompt: int,
    output: int,
    cached: int = 0,
    thoughts: int = 0,
    audio_prompt: int = 0,
    audio_output: int = 0,
) -> dict[str, Any]:
    """A `usageMetadata`: `prompt` with all cached parts and `output` with all thoughts, as the canonical usage counts."""
    thoughts = min(thoughts, output)
    told: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output - thoughts,
        "totalTokenCount": prompt + output,
    }
    if cached:
        told["cachedContentTokenCount"] = min(cached, prompt)
    if thoughts:
        told["thoughtsTokenCount"] = thoughts
    if audio_prompt:
        told["promptTokensDetails"] = _details(prompt, audio_prompt)
    if audio_output:
        told["candidatesTokensDetails"] = _details(output - thoughts, audio_output)
    return told


_DETAILS = frozenset(
    {"promptTokensDetails", "toolUsePromptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails"}
)


def _by_modality(*lists: Any) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for rows in lists:
        for row in rows if isinstance(rows, Iterable) else ():
            if isinstance(row, dict):
                name = str(row.get("modality") or "")
                found[name] = found.get(name, 0) + count(row.get("tokenCount"))
    return found


def _details(whole: int, audio: int) -> list[dict[str, Any]]:
    audio = min(audio, whole)
    rest = [{"modality": "TEXT", "tokenCount": whole - audio}] if whole > audio else []
    return [*rest, {"modality": "AUDIO", "tokenCount": audio}]

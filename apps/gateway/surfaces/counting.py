# SPDX-License-Identifier: Apache-2.0
"""Requests whose tokens are only counted: chat requests that nobody answers, so other fields are required."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from apps.core.outcome import Refuse
from apps.gateway.surfaces import anthropic, gemini, gemini_texts
from apps.gateway.surfaces.anthropic import AnthropicSurface
from apps.gateway.surfaces.gemini import GeminiSurface
from apps.gateway.surfaces.reading import parsed, without, wrong
from apps.gateway.surfaces.surface import ChatRequest, Object, Surface
from apps.providers.counting import WHOLE


class AnthropicCounting(AnthropicSurface):
    """`/v1/messages/count_tokens`: no `max_tokens`, and nothing to limit."""

    @override
    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request without an answer."""
        return parsed(body, lambda fields: anthropic.counted(fields, len(body)))

    @override
    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """There is no output."""

    @override
    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """A count is not kept."""
        return False


class GeminiCounting(GeminiSurface):
    """`:countTokens`: contents alone, or a whole request under a name of its own."""

    @override
    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request in either form; its texts are found in both."""
        return parsed(body, lambda fields: _request(fields, model, len(body)))

    @override
    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """There is no output."""

    @override
    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """A count is not kept."""
        return False


def _request(fields: Object, model: str, size: int) -> ChatRequest | Refuse:
    names = [name for name in WHOLE if fields.get(name) is not None]
    if not names:
        return gemini.request_of(fields, model, stream=False, size=size)
    if len(names) > 1 or "contents" in fields:
        return wrong(WHOLE[0], "stands alone: `contents` and other spellings may not be beside it")
    whole = fields[names[0]]
    if not isinstance(whole, dict):
        return wrong(WHOLE[0], "must be an object")
    found = gemini.request_of(whole, model, stream=False, size=size)
    if isinstance(found, Refuse):
        return found
    found.fields = fields
    found.slots += gemini_texts.of_request(without(fields, names))
    return found


ANTHROPIC: Surface = AnthropicCounting()
GEMINI: Surface = GeminiCounting()

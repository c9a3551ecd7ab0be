# SPDX-License-Identifier: Apache-2.0
"""Anthropic Messages clients in front of Gemini generateContent.

A Gemini signature travels in the `signature` of a thinking block (see `dialects/signatures.py`), which Anthropic
clients send back unchanged; a call of a function gets such a block before it even where the client asked for no
thinking, because Gemini refuses calls whose signature is lost. A signature of plain text, which Gemini only
recommends to send back, is given out only to clients that see thinking anyway.

Gemini says neither which stop sequence ended an answer nor quotes its sources: `stop_reason` is then `end_turn`, and
citations carry address and title.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.anthropic_gemini import answer, request, stream
from apps.providers.pairs.pair import Ask, Object, Translation

# What is let go without an error, and why nothing of the answer is lost with it.
LET_GO = (
    ("cache_control", "a hint that makes a prompt cheaper; Gemini caches by itself and its usage is told"),
    ("context_management: clear_thinking", "leaves old thinking out to save tokens"),
    ("diagnostics", "asks for a report about Anthropic's cache"),
    ("metadata", "says who asks, not what"),
    ("service_tier: auto", "the provider's usual way of serving"),
    ("speed: standard", "the provider's usual speed"),
    ("thinking: disabled", "thoughts are not shown; a model that cannot stop thinks as little as it can"),
    ("thinking.display: omitted", "Gemini is then not asked for its thoughts"),
    ("tools[].eager_input_streaming", "how arguments are delivered: Gemini sends them whole"),
    ("tools[].allowed_callers: direct", "the only way there is"),
    ("content[].citations of earlier answers", "sources of a text that is already said"),
    ("thinking that no Gemini model signed", "Gemini reads nothing from it"),
    ("image.transformations.oversized_image: downsize", "what every provider does"),
)


class AnthropicGemini:
    """The pair as calls without state; besides the three translations, those of counting tokens."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The body of generateContent."""
        return request.generate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The whole message."""
        return answer.message_of(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """The events of a message."""
        return stream.Events(ask)

    def count_request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The body of countTokens for a request of `/v1/messages/count_tokens`."""
        return request.count(fields, ask)

    def count_answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The count as Anthropic tells it; ValueError where there is none."""
        return answer.count_of(body)


PAIR = AnthropicGemini()

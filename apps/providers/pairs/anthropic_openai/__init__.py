# SPDX-License-Identifier: Apache-2.0
"""Anthropic Messages clients in front of an OpenAI Chat Completions provider."""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.anthropic_openai import answer, request
from apps.providers.pairs.anthropic_openai.stream import Stream
from apps.providers.pairs.pair import Ask, Object, Pair, Translation


class AnthropicOpenAI:
    """The three translations; what they map is told in the modules."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The chat completion request for a Messages request."""
        return request.translate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The message for a chat completion."""
        return answer.translate(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """The events of a message for chunks of a chat completion."""
        return Stream(ask)


PAIR: Pair = AnthropicOpenAI()

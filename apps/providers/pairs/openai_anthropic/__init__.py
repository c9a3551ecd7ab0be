# SPDX-License-Identifier: Apache-2.0
"""OpenAI Chat Completions clients in front of an Anthropic Messages provider."""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.openai_anthropic import answer, request
from apps.providers.pairs.openai_anthropic.stream import Stream
from apps.providers.pairs.pair import Ask, Object, Pair, Translation


class OpenAIAnthropic:
    """The three translations; what they map is told in the modules."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The Messages request for a chat completion request."""
        return request.translate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The chat completion for a message."""
        return answer.translate(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """The chunks for the events of a message."""
        return Stream(ask)


PAIR: Pair = OpenAIAnthropic()

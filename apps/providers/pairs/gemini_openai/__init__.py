# SPDX-License-Identifier: Apache-2.0
"""A Gemini generateContent client in front of an OpenAI Chat Completions provider."""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.gemini_openai.answer import whole
from apps.providers.pairs.gemini_openai.request import translate
from apps.providers.pairs.gemini_openai.stream import Chunks
from apps.providers.pairs.pair import Ask, Object, Pair, Translation


class GeminiOpenAI:
    """The three translations."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """A generateContent request as a chat completion's."""
        return translate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """A chat completion as a GenerateContentResponse."""
        return whole(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """Chat completion chunks as GenerateContentResponse chunks."""
        return Chunks(ask)


PAIR: Pair = GeminiOpenAI()

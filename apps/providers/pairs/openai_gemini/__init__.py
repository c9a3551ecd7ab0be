# SPDX-License-Identifier: Apache-2.0
"""An OpenAI Chat Completions client in front of a Gemini provider."""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.openai_gemini.answer import whole
from apps.providers.pairs.openai_gemini.request import translate
from apps.providers.pairs.openai_gemini.stream import Chunks
from apps.providers.pairs.pair import Ask, Object, Pair, Translation


class OpenAIGemini:
    """The three translations."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """A chat completion as a generateContent request."""
        return translate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """A GenerateContentResponse as a chat completion."""
        return whole(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """GenerateContentResponse chunks as chat completion chunks."""
        return Chunks(ask)


PAIR: Pair = OpenAIGemini()

# SPDX-License-Identifier: Apache-2.0
"""Gemini generateContent clients in front of Anthropic Messages.

Gemini's rule for its clients is to send signatures back and that thoughts need not be: so the thinking blocks of a
message travel whole in the `thoughtSignature` of the part after them (see `dialects/signatures.py`), and are put in
their place again. Thoughts that come back as text are not read.

JSON without a schema is asked for as the input of one forced tool, which the client sees as text. Every chunk of a
stream has a part, and the last one an empty text: Google's client forgets a turn with a chunk that has none.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.gemini_anthropic import answer, request, stream
from apps.providers.pairs.pair import Ask, Object, Translation

# What is let go without an error, and why nothing of the answer is lost with it.
LET_GO = (
    ("labels", "says whom to bill, not what to answer"),
    ("store", "whether Google keeps the exchange"),
    ("safetySettings: OFF, BLOCK_NONE", "allows what Google would block; there is nothing to allow"),
    ("thought parts", "Anthropic takes thinking back with its signature only, which has the thinking in it"),
    ("thoughtSignature of a Gemini model", "worth nothing to another provider"),
    ("thinkingConfig after calls whose signature is lost", "Anthropic then refuses to think"),
    ("contents[].parts[].partMetadata", "the client's own notes"),
    ("inlineData.displayName, fileData.displayName of images", "a name that no model is shown"),
    ("propertyOrdering", "kept as the order of the properties"),
)


class GeminiAnthropic:
    """The pair as calls without state; besides the three translations, those of counting tokens."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The body of a Messages request."""
        return request.generate(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The whole GenerateContentResponse."""
        return answer.response_of(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """The chunks of a GenerateContentResponse."""
        return stream.Chunks(ask)

    def count_request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The body of `/v1/messages/count_tokens` for a countTokens request, in either of its two forms."""
        return request.count(fields, ask)

    def count_answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The count as Gemini tells it; ValueError where there is none."""
        return answer.count_of(body)


PAIR = GeminiAnthropic()

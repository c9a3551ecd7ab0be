# SPDX-License-Identifier: Apache-2.0
"""Counting the tokens of a request at the provider: Anthropic and Gemini have a call for it, OpenAI's dialect has none.

A count is sent like any other request (`apps.providers.stage.send`), over routes and translations of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
from typing_extensions import override

from apps.providers.dialects.anthropic import Anthropic
from apps.providers.dialects.dialect import Dialect, Whole
from apps.providers.dialects.gemini import Gemini
from apps.providers.pairs import anthropic_gemini, gemini_anthropic
from apps.providers.pairs.pair import Ask, Object, Pair, Translation
from apps.providers.stage import Route, Tried

_object = msgspec.json.Decoder(dict[str, Any]).decode
# What those answer who speak a dialect and do not have its call for counting.
_HAS_NONE = {404, 405, 501}
# Under which a whole request of Gemini's stands in one that asks for its count, in both of Google's spellings.
WHOLE = ("generateContentRequest", "generate_content_request")


class AnthropicCount(Anthropic):
    """`/v1/messages/count_tokens` (platform.claude.com/docs/en/api/messages-count-tokens)."""

    @override
    def path(self, upstream_model: str, *, stream: bool) -> str:
        """Beside the path of messages."""
        return "/messages/count_tokens"

    @override
    def decode(self, body: bytes) -> Whole:
        """A count; ValueError when it is none."""
        return _counted(body, "input_tokens")


class GeminiCount(Gemini):
    """`models/{model}:countTokens` (ai.google.dev/api/tokens)."""

    @override
    def path(self, upstream_model: str, *, stream: bool) -> str:
        """Beside the path of generateContent."""
        return super().path(upstream_model, stream=False).rpartition(":")[0] + ":countTokens"

    @override
    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """A whole request within names its model again."""
        model = upstream_model if "/" in upstream_model else f"models/{upstream_model}"
        named = {
            name: {**value, "model": model}
            for name, value in fields.items()
            if name in WHOLE and isinstance(value, dict)
        }
        return super().encode({**fields, **named}, upstream_model)

    @override
    def decode(self, body: bytes) -> Whole:
        """A count; ValueError when it is none. Google leaves a zero out."""
        return _counted(body, "totalTokens", 0)


class _Counts(Protocol):
    """The translations of a count that some pairs have."""

    def count_request(self, fields: Mapping[str, Any], ask: Ask) -> Object: ...

    def count_answer(self, body: Mapping[str, Any], ask: Ask) -> Object: ...


@dataclass(frozen=True, slots=True)
class _Counting:
    """Those translations in the form of a pair."""

    counts: _Counts

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The provider's request for a count."""
        return self.counts.count_request(fields, ask)

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The count as the client's dialect tells it."""
        return self.counts.count_answer(body, ask)

    def stream(self, ask: Ask) -> Translation:
        """There is none."""
        raise ValueError("a count is never streamed")


PAIRS: Mapping[tuple[str, str], Pair] = {
    ("anthropic", "gemini"): _Counting(anthropic_gemini.PAIR),
    ("gemini", "anthropic"): _Counting(gemini_anthropic.PAIR),
}
_DIALECTS: Mapping[str, Dialect] = {"anthropic": AnthropicCount(), "gemini": GeminiCount()}


def routes(chat: Sequence[Route]) -> list[Route]:
    """The way to a count for each route of a chat, up to the first whose provider counts nothing."""
    return list(_counting(chat))


def has_none(tried: Sequence[Tried]) -> bool:
    """Whether the provider that was asked last does not have the call."""
    return bool(tried) and tried[-1].status in _HAS_NONE


def whole_of(fields: Object) -> Object:
    """The request itself: Gemini's clients may send it under a name of its own."""
    return next((fields[name] for name in WHOLE if isinstance(fields.get(name), dict)), fields)


def _counting(chat: Sequence[Route]) -> Iterator[Route]:
    for route in chat:
        dialect = _DIALECTS.get(route.dialect.name)
        if dialect is None:
            return
        yield replace(route, dialect=dialect)


def _counted(body: bytes, name: str, default: int | None = None) -> Whole:
    answer = _object(body)
    count = answer.get(name, default)
    if type(count) is not int or count < 0:
        raise ValueError("no count of tokens")
    return Whole(answer, None, "")

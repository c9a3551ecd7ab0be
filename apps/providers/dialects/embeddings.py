# SPDX-License-Identifier: Apache-2.0
"""How providers are asked for vectors; beside the dialects of chat, by the dialect of a provider's row.

Their own names are what `apps.providers.pairs` knows them by: a client in front of embeddings of its own dialect needs
no pair, any other one does. Gemini is always asked in batches, of one where it is one.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from typing_extensions import override

from apps.providers.dialects.dialect import Dialect, Whole
from apps.providers.dialects.gemini import Gemini
from apps.providers.dialects.gemini_usage import read_usage
from apps.providers.dialects.openai import DIALECT as OPENAI
from apps.providers.dialects.openai import OpenAI
from apps.providers.domain import LOCAL, Usage

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class OpenAIEmbeddings(OpenAI):
    """OpenAI's embeddings (platform.openai.com/docs/api-reference/embeddings)."""

    name = "openai_embeddings"

    def __init__(self, chat: Dialect) -> None:
        self._chat = chat

    @override
    def path(self, upstream_model: str, *, stream: bool) -> str:
        """One path; nothing streams."""
        return "/embeddings"

    @override
    def headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """Those of the vendor's chats."""
        return self._chat.headers(credential)

    @override
    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request with the provider's own name of the model."""
        return _encode({**fields, "model": upstream_model})

    @override
    def decode(self, body: bytes) -> Whole:
        """A list of vectors; ValueError when it is not one."""
        answer = _object(body)
        _check(answer, "data", "embedding", (list, str))
        told = answer.get("usage")
        tokens = told.get("prompt_tokens") if isinstance(told, dict) else None
        usage = Usage(input=tokens) if isinstance(tokens, int) and tokens > 0 else None
        return Whole(answer, usage, "")


class GeminiEmbeddings(Gemini):
    """Gemini's batchEmbedContents (ai.google.dev/api/embeddings)."""

    name = "gemini_embeddings"

    @override
    def path(self, upstream_model: str, *, stream: bool) -> str:
        """One path; nothing streams."""
        return f"/{quote(_full(upstream_model), safe='/')}:batchEmbedContents"

    @override
    def encode(self, fields: Mapping[str, Any], upstream_model: str) -> bytes:
        """The request; each one of the batch names the model once more."""
        name = _full(upstream_model)
        batch = [{**request, "model": name} for request in fields["requests"]]
        kept = {key: value for key, value in fields.items() if key != "model"}
        return _encode({**kept, "requests": batch})

    @override
    def decode(self, body: bytes) -> Whole:
        """A list of vectors; ValueError when it is not one. Most models say no usage."""
        answer = _object(body)
        _check(answer, "embeddings", "values", (list,))
        return Whole(answer, read_usage(answer.get("usageMetadata")), "")


def _full(upstream_model: str) -> str:
    return upstream_model if "/" in upstream_model else f"models/{upstream_model}"


def _check(answer: Mapping[str, Any], place: str, member: str, kinds: tuple[type, ...]) -> None:
    rows = answer.get(place)
    if not isinstance(rows, list):
        raise ValueError(f"no {place}")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get(member), kinds):
            raise ValueError(f"a row of {place} is no vector")


# What is local answers as a provider of OpenAI's dialect would: see apps/gateway/local.py.
_LOCAL: Dialect = OpenAIEmbeddings(OPENAI)
_GEMINI: Dialect = GeminiEmbeddings()


def beside(dialect: str, chat: Dialect | None) -> Dialect | None:
    """How who speaks a dialect in chats is asked for vectors; None for who has none."""
    if dialect == LOCAL:
        return _LOCAL
    if dialect == OpenAI.name and chat is not None:
        return OpenAIEmbeddings(chat)
    return _GEMINI if dialect == Gemini.name else None

# SPDX-License-Identifier: Apache-2.0
"""Requests for vectors: OpenAI's clients in front of Gemini's embeddings, and the other way round.

A client's Gemini request comes here as a batch, of one where it is one. How OpenAI's clients want their numbers written
is the business of whoever answers them.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.gemini_parts import camel, objects
from apps.providers.pairs.fields import only
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Object, Pair, Translation

# `user` is for the provider's own monitoring and changes no vector: it is let go.
_OPENAI = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_GEMINI = frozenset({"model", "content", "outputDimensionality"})


class _Pair:
    def stream(self, ask: Ask) -> Translation:
        """Nothing streams: ValueError."""
        raise ValueError("vectors never come as a stream")


class OpenAIGemini(_Pair):
    """OpenAI's clients, Gemini's provider."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """One request of a batch for each text."""
        only(fields, _OPENAI, "", ask)
        given = fields.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InexpressibleError("input", "holds tokens of a model, and this provider reads texts alone")
        more: Object = {}
        if fields.get("dimensions") is not None:
            more["outputDimensionality"] = fields["dimensions"]
        return {"requests": [{"content": {"parts": [{"text": text}]}, **more} for text in texts]}

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The list of vectors, as numbers; the usage is not part of it."""
        rows = [
            {"object": "embedding", "index": number, "embedding": row["values"]}
            for number, row in enumerate(body["embeddings"])
        ]
        return {"object": "list", "data": rows, "model": ask.model}


class GeminiOpenAI(_Pair):
    """Gemini's clients, OpenAI's provider."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """All texts in one list; what is asked for each has to be the same for all."""
        only(fields, {"model", "requests"}, "", ask)
        texts: list[str] = []
        widths: list[Any] = []
        for where, request in objects(fields.get("requests"), "requests"):
            known = camel(request, where)
            only(known, _GEMINI, where, ask)
            texts.append(_text(known.get("content"), f"{where}.content"))
            widths.append(known.get("outputDimensionality"))
        if any(width != widths[0] for width in widths):
            raise InexpressibleError("requests", "ask for vectors of different lengths at once")
        made: Object = {"input": texts, "encoding_format": "float"}
        return made if widths[0] is None else {**made, "dimensions": widths[0]}

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The values in the order of the batch; ValueError where the provider did not give numbers."""
        rows = sorted(body["data"], key=_index)
        if not all(isinstance(row["embedding"], list) for row in rows):
            raise ValueError("a vector is not made of numbers")
        return {"embeddings": [{"values": row["embedding"]} for row in rows]}


def _text(content: Any, param: str) -> str:
    texts: list[str] = []
    for where, part in objects(camel(content, param).get("parts"), f"{param}.parts"):
        known = camel(part, where)
        text = known.get("text")
        if not isinstance(text, str) or len(known) > 1:
            raise InexpressibleError(where, "is no text, and this provider reads texts alone")
        texts.append(text)
    if not texts:
        raise InvalidError(param, "holds no text")
    return "".join(texts)


def _index(row: Mapping[str, Any]) -> int:
    index = row.get("index")
    if not isinstance(index, int):
        raise ValueError("a vector does not say which text it is of")
    return index


OPENAI_GEMINI: Pair = OpenAIGemini()
GEMINI_OPENAI: Pair = GeminiOpenAI()

# SPDX-License-Identifier: Apache-2.0
"""Requests for vectors as clients speak them: OpenAI's embeddings, Gemini's embedContent and batchEmbedContents.

Errors are those of the dialect's chats. Answers hold numbers only, so that policies have nothing to review in them.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from typing_extensions import override

from apps.core.outcome import Refuse
from apps.gateway.surfaces import gemini_texts
from apps.gateway.surfaces.gemini import GeminiSurface
from apps.gateway.surfaces.openai import OpenAI
from apps.gateway.surfaces.reading import MOST_NAME, collect_member, parsed, wrong
from apps.gateway.surfaces.surface import ChatRequest, Object
from apps.gateway.texts import Slot, collect, collect_field

MOST_INPUTS = 2048
_MOST_DIMENSIONS = 100_000
# Words of the protocol, Google's in both of its spellings.
_OPENAI_WORDS = {"model", "encoding_format"}
_GEMINI_WORDS = {"model", "taskType", "task_type", "outputDimensionality", "output_dimensionality"}


class _Acted(msgspec.Struct):
    """The fields we act on; their types are OpenAI's."""

    model: str
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None


class OpenAIEmbeddings(OpenAI):
    """`POST /v1/embeddings`."""

    kind = "embedding"

    @override
    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request; the body alone says the model."""
        return parsed(body, lambda fields: _of_openai(fields, len(body)))

    @override
    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """Never in this version."""
        return False

    def finished(self, answer: Object, fields: Mapping[str, Any], tokens: int) -> bool:
        """Put an answer into the form asked for, with a usage where it has none; whether anything changed."""
        coded = fields.get("encoding_format") == "base64"
        changed = False
        for row in answer["data"]:
            given = row["embedding"]
            if isinstance(given, str) is not coded:
                row["embedding"] = _coded(given) if coded else _numbers(given)
                changed = True
        if not isinstance(answer.get("usage"), dict):
            answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
            changed = True
        return changed


class GeminiEmbeddings(GeminiSurface):
    """`:embedContent`, which is taken as a batch of one, and `:batchEmbedContents`."""

    kind = "embedding"

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch

    @override
    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request; the model is told by the path."""
        return parsed(body, lambda fields: _of_gemini(fields, model, len(body), batch=self._batch))

    @override
    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """Never in this version."""
        return False

    def finished(self, answer: Object, fields: Mapping[str, Any], tokens: int) -> bool:
        """Put the answer of a batch into the form asked for; whether anything changed."""
        if self._batch:
            return False
        rows = answer.pop("embeddings")
        if len(rows) != 1:
            raise ValueError("one vector was asked for")
        answer["embedding"] = rows[0]
        return True


def has_tokens(fields: Mapping[str, Any]) -> bool:
    """Whether a request holds tokens of a model in place of texts: nobody but that model can read them."""
    given = fields.get("input")
    return isinstance(given, list) and not all(isinstance(item, str) for item in given)


def _of_openai(fields: Object, size: int) -> ChatRequest | Refuse:
    acted = msgspec.convert(fields, _Acted)
    given, width = acted.input, acted.dimensions
    if not acted.model or len(acted.model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    if not given:
        return wrong("input", "must hold at least one text")
    if isinstance(given, list) and not _alike(given):
        return wrong("input", "must be a text, a list of texts, or tokens")
    if isinstance(given, list) and not isinstance(given[0], int) and len(given) > MOST_INPUTS:
        return wrong("input", f"must hold at most {MOST_INPUTS} texts")
    if width is not None and not 1 <= width <= _MOST_DIMENSIONS:
        return wrong("dimensions", "must be a whole number above 0")
    slots: list[Slot] = []
    for name, value in fields.items():
        role = "user" if name == "input" else "document"
        if isinstance(value, (dict, list)):
            collect(value, role, slots)
        elif name not in _OPENAI_WORDS:
            collect_field(fields, name, role, slots)
    return _asked(acted.model, fields, slots, size)


def _alike(given: list[Any]) -> bool:
    """Texts, or tokens, or lists of tokens."""
    if all(isinstance(item, str) for item in given) or _tokens(given):
        return True
    return all(isinstance(item, list) and item and _tokens(item) for item in given)


def _tokens(given: list[Any]) -> bool:
    return all(type(item) is int and item >= 0 for item in given)


def _of_gemini(fields: Object, model: str, size: int, *, batch: bool) -> ChatRequest | Refuse:
    if not model or len(model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    requests = fields.get("requests") if batch else [fields]
    if not isinstance(requests, list) or not requests:
        return wrong("requests", "must hold at least one request")
    if len(requests) > MOST_INPUTS:
        return wrong("requests", f"must hold at most {MOST_INPUTS} requests")
    slots: list[Slot] = []
    for number, request in enumerate(requests):
        content = request.get("content") if isinstance(request, dict) else None
        if not isinstance(content, dict) or not isinstance(content.get("parts"), (list, dict)):
            where = f"requests[{number}].content" if batch else "content"
            return wrong(where, "must be an object with a list of `parts`")
        _collect(request, _GEMINI_WORDS, slots)
    if batch:
        _collect(fields, {"requests", "model"}, slots)
    return _asked(model, fields if batch else {"requests": requests}, slots, size)


def _collect(fields: Object, left_out: set[str], found: list[Slot]) -> None:
    for name in fields:
        if name not in left_out:
            role = "user" if name == "content" else "document"
            collect_member(fields, name, role, found, gemini_texts.view)


def _asked(model: str, fields: Object, slots: list[Slot], size: int) -> ChatRequest:
    """A request without output and choices: none is reserved."""
    return ChatRequest(model, fields, slots, False, False, output_limit=0, choices=0, size=size)


def _coded(numbers: list[Any]) -> str:
    """Little-endian floats of 32 bits in base64; ValueError for what are no numbers."""
    try:
        return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    except (struct.error, OverflowError) as fault:
        raise ValueError("a vector is not made of numbers") from fault


def _numbers(coded: str) -> list[float]:
    raw = b64decode(coded, validate=True)
    if len(raw) % 4:
        raise ValueError("a vector is cut off")
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


OPENAI, GEMINI_SINGLE, GEMINI_BATCH = (
    OpenAIEmbeddings(),
    GeminiEmbeddings(batch=False),
    GeminiEmbeddings(batch=True),
)
Embeddings = OpenAIEmbeddings | GeminiEmbeddings

# SPDX-License-Identifier: Apache-2.0
"""The provider that is this process: texts become vectors by `apps.vectors`, and no call leaves.

It answers like a server of OpenAI's embeddings, so that attempts, deadlines, falling back and records are as ever.
"""

import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import msgspec

from apps.core.http import Call, CallError, Client, Incoming
from apps.core.limits import ANSWER_SECONDS, MAX_ANSWER_BYTES
from apps.providers.domain import LOCAL_URL
from apps.vectors.embedder import DIMENSIONS, Embedder, EmbedderBusyError, EmbedderUnavailableError

MODEL = "all-minilm-l6-v2"
# So many texts are one turn at the embedder: calls take turns, so that a long one does not keep the others waiting.
TURN = 16
log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Asked(msgspec.Struct):
    model: str
    input: str | list[str]
    dimensions: int | None = None
    encoding_format: str | None = None


_asked = msgspec.json.Decoder(_Asked).decode


class Local:
    """The `Client` that answers calls to what is local, and hands on all others."""

    def __init__(self, embedder: Embedder, outside: Client) -> None:
        self._embedder, self._outside = embedder, outside

    async def send(self, call: Call) -> Incoming:
        """An answer that is there already."""
        if not call.url.startswith(LOCAL_URL):
            return await self._outside.send(call)
        deadline = monotonic() + (call.total or ANSWER_SECONDS)
        try:
            status, answer = await self._answer(call.body, deadline)
        except EmbedderUnavailableError as fault:
            log.exception("The local embedding model cannot be used")
            raise CallError("connect", str(fault)) from fault
        except EmbedderBusyError as fault:
            if monotonic() >= deadline:
                raise CallError("timeout", str(fault)) from fault
            return _Answer(429, _encode(_fault(str(fault))), retry_after="1")
        return _Answer(status, _encode(answer))

    async def close(self) -> None:
        """Nothing: what is outside is closed by whoever opened it."""

    async def _answer(self, body: bytes, deadline: float) -> tuple[int, dict[str, Any]]:
        try:
            asked = _asked(body)
        except msgspec.DecodeError:
            return 400, _fault("`input` holds tokens of a model, and the local model reads texts alone.")
        if asked.model != MODEL:
            return 404, _fault(f"There is no local model “{asked.model}”, only {MODEL}.")
        if asked.dimensions not in {None, DIMENSIONS}:
            return 400, _fault(f"`dimensions` must be {DIMENSIONS} or left out: {MODEL} has no other.")
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        rows: list[dict[str, Any]] = []
        used = 0
        for start in range(0, len(texts), TURN):
            left = max(0.0, deadline - monotonic())
            vectors, tokens = await self._embedder.embed_counted(texts[start : start + TURN], left)
            used += tokens
            for vector in vectors:
                values = _coded(vector) if asked.encoding_format == "base64" else vector.tolist()
                rows.append({"object": "embedding", "index": len(rows), "embedding": values})
        usage = {"prompt_tokens": used, "total_tokens": used}
        return 200, {"object": "list", "data": rows, "model": MODEL, "usage": usage}


class _Answer:
    """An answer of this process."""

    def __init__(self, status: int, body: bytes, retry_after: str = "") -> None:
        self.status, self._body = status, body
        self._headers = {"content-type": "application/json", "retry-after": retry_after}

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        return self._headers.get(name.lower(), "")

    async def read(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """The whole body."""
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The whole body as one chunk."""
        yield self._body

    def close(self) -> None:
        """Nothing is open."""


def _fault(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}}


def _coded(vector: Any) -> str:
    return b64encode(vector.astype("<f4").tobytes()).decode()

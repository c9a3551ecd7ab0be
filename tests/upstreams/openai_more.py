# SPDX-License-Identifier: Apache-2.0
"""OpenAI's other surfaces that an upstream has: text completions, embeddings, the list of models."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.upstreams import answers, plan
from tests.upstreams.plan import Facts
from tests.upstreams.script import Script

MODELS = ("gpt-4.1", "gpt-5.2", "text-embedding-3-small")
_ID, _CREATED, _WIDTH = "cmpl-upstream", 1_700_000_000, 8


class AskedText:
    """A text completion as an upstream sees it."""

    facts = Facts()

    def __init__(self, raw: bytes) -> None:
        self.raw, self.body = raw, json.loads(raw)
        self.model = str(self.body.get("model", ""))
        self.stream, self.n = bool(self.body.get("stream")), int(self.body.get("n") or 1)
        self.usage_wanted = bool((self.body.get("stream_options") or {}).get("include_usage"))
        prompt = self.body.get("prompt") or ""
        self.prompt = str(prompt[-1]) if isinstance(prompt, list) else str(prompt)


class AskedVectors:
    """A request for embeddings as an upstream sees it."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.body = raw, json.loads(raw)
        self.model = str(self.body.get("model", ""))
        given = self.body.get("input") or ""
        tokens = isinstance(given, list) and all(isinstance(item, int) for item in given)
        self.inputs: list[Any] = [given] if isinstance(given, str) or tokens else list(given)
        self.texts = [item for item in self.inputs if isinstance(item, str)]


def completion(script: Script, asked: AskedText, text: str) -> bytes:
    """The JSON body of a text completion."""
    made = _completion(script, asked, [_choice(text, n, script.finish) for n in range(asked.n)])
    used = _usage(script, asked, text)
    return json.dumps({**made, "usage": used} if used else made, ensure_ascii=False).encode()


def completion_events(script: Script, asked: AskedText, text: str) -> Iterator[bytes]:
    """The events of a streamed text completion, without [DONE]."""
    for piece in plan.pieces(script, text):
        yield answers.frame(script, _completion(script, asked, [_choice(piece, 0, None)]))
    yield answers.frame(script, _completion(script, asked, [_choice("", 0, script.finish)]))
    used = _usage(script, asked, text)
    if used and asked.usage_wanted:
        yield answers.frame(script, {**_completion(script, asked, []), "usage": used})


def _completion(script: Script, asked: AskedText, choices: list[dict[str, Any]]) -> dict[str, Any]:
    named = script.model or asked.model
    return {"id": _ID, "object": "text_completion", "created": _CREATED, "model": named, "choices": choices}


def _choice(text: str, index: int, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(script: Script, asked: AskedText, text: str) -> dict[str, int] | None:
    found = plan.numbers(script, asked.raw, text, asked.n)
    if found is None:
        return None
    total = found.input + found.output
    return {"prompt_tokens": found.input, "completion_tokens": found.output, "total_tokens": total}


def vectors(script: Script, asked: AskedVectors) -> bytes:
    """The JSON body of embeddings: floats, or base64 of little-endian floats."""
    width = asked.body.get("dimensions") or _WIDTH
    coded = asked.body.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": index, "embedding": _coded(row) if coded else row}
        for index, row in enumerate(vector(item, width) for item in asked.inputs)
    ]
    found = plan.numbers(script, asked.raw, "")
    given = found.input if found else 0
    used = {"prompt_tokens": given, "total_tokens": given}
    answer = {"object": "list", "data": rows, "model": script.model or asked.model, "usage": used}
    return json.dumps(answer).encode()


def vector(item: Any, width: int) -> list[float]:
    """A vector that is the same for the same input, of numbers that a 32-bit float holds exactly."""
    seed = sum(json.dumps(item).encode())
    return [((seed * (place + 3)) % 129 - 64) / 128 for place in range(width)]


def _coded(row: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()


def models() -> bytes:
    """The list of models."""
    rows = [{"id": n, "object": "model", "created": _CREATED, "owned_by": "upstream"} for n in MODELS]
    return json.dumps({"object": "list", "data": rows}).encode()

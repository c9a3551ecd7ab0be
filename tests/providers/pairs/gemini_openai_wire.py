# SPDX-License-Identifier: Apache-2.0
"""Judges for the pairs between Gemini and OpenAI: pinned request schemas, and the official clients' own types."""

import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from google.genai import types
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from apps.providers.pairs.pair import Ask, Pair
from tests.upstreams import gemini_rules, openai_rules
from tests.upstreams.wire import Request

Object = dict[str, Any]
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
NEW, OLD = "gemini-3.1-flash", "gemini-2.5-flash"
PNG = "iVBORw0KGgo="
# What answers carry beyond OpenAI's own fields, in the forms that clients know from elsewhere.
_EXTRA = {"reasoning_content", "extra_content", "images"}
_MESSAGE = {"role", "content", "refusal", "tool_calls", "annotations"}


def ask(model: str = NEW, **more: Any) -> Ask:
    """An exchange with fixed names."""
    return Ask(model="public-name", upstream_model=model, created=1_790_000_000, request_id="r1", **more)


def to_gemini(pair: Pair, fields: Object, model: str = NEW, **more: Any) -> Object:
    """The request that Gemini gets: it takes it, and what the client sent was left alone."""
    before = json.dumps(fields)
    body = pair.request(fields, ask(model, **more))
    assert json.dumps(fields) == before
    headers = {"x-goog-api-key": "key", "content-type": "application/json"}
    path = f"/v1beta/models/{model}:generateContent"
    gemini_rules.admit(Request("POST", path, {}, headers, json.dumps(body).encode()))
    return body


def to_openai(pair: Pair, fields: Object, model: str = "gpt-6-sol", **more: Any) -> Object:
    """The request that OpenAI gets: it takes it, and what the client sent was left alone."""
    before = json.dumps(fields)
    body = pair.request(fields, ask(model, **more))
    assert json.dumps(fields) == before
    headers = {"authorization": "Bearer key", "content-type": "application/json"}
    openai_rules.admit(Request("POST", "/v1/chat/completions", {}, headers, json.dumps(body).encode()))
    return body


def gemini_answer(body: Object) -> types.GenerateContentResponse:
    """What Google's own client makes of an answer or a chunk; it knows no field too many."""
    return types.GenerateContentResponse.model_validate_json(json.dumps(body))


def completion(body: Object) -> ChatCompletion:
    """What OpenAI's own client makes of an answer."""
    for choice in body["choices"]:
        assert choice["message"].keys() <= _MESSAGE | _EXTRA
    return ChatCompletion.model_validate(body, strict=True)


def completion_of(chunks: Iterable[Object]) -> Object:
    """What OpenAI's own client makes of chunks: per choice one role and one finish, then at most one usage."""
    chunks = list(chunks)
    messages: dict[int, Any] = {}
    finishes: dict[int, str] = {}
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert delta.keys() <= _MESSAGE | _EXTRA
            assert index not in finishes
            assert ("role" in delta) == (index not in messages)
            messages[index] = accumulate_delta(messages.get(index, {}), json.loads(json.dumps(delta)))
            if choice["finish_reason"]:
                finishes[index] = choice["finish_reason"]
    assert finishes.keys() == messages.keys()
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert len(usages) <= 1
    assert not usages or chunks[-1]["choices"] == []
    return {"messages": messages, "finishes": finishes, "usage": usages[0] if usages else None}


def response_of(chunks: Iterable[Object]) -> Object:
    """What a Gemini client makes of chunks: one finish per candidate and the usage, both in the last one."""
    chunks = list(chunks)
    parts: dict[int, list[Object]] = {}
    for number, chunk in enumerate(chunks):
        gemini_answer(chunk)
        last = number == len(chunks) - 1
        assert last or "usageMetadata" not in chunk
        for candidate in chunk["candidates"]:
            assert ("finishReason" in candidate) == last
            parts.setdefault(candidate["index"], []).extend(candidate["content"]["parts"])
    ends = {candidate["index"]: candidate for candidate in chunks[-1]["candidates"]}
    assert ends.keys() == parts.keys()
    return {"parts": parts, "ends": ends, "usage": chunks[-1].get("usageMetadata")}


def text_of(parts: Iterable[Object], *, thought: bool = False) -> str:
    """The text, or the thoughts, in parts."""
    return "".join(part.get("text", "") for part in parts if part.get("thought", False) is thought)


def calls_of(parts: Iterable[Object]) -> list[Object]:
    """The function calls in parts."""
    return [part["functionCall"] for part in parts if "functionCall" in part]


def replay(pair: Pair, exchange: Ask, events: Iterable[Object]) -> Iterator[Object]:
    """All events that a stream gives to the client."""
    translation = pair.stream(exchange)
    for event in events:
        yield from translation.feed(event)
    yield from translation.end()


def golden(folder: str) -> list[pathlib.Path]:
    """The golden streams of a pair, by name."""
    return sorted((GOLDEN / folder).glob("*.jsonl"))


def check_golden(pair: Pair, path: pathlib.Path) -> list[Object]:
    """Each event of the provider gives just the events that stand below it; all of the client's are given back."""
    translation = pair.stream(ask(include_usage=True))
    told: list[Object] = []
    wanted: list[Object] = []
    given: list[Object] = []
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if "client" in line:
            wanted.append(line["client"])
            continue
        assert given == wanted
        wanted, given = [], translation.feed(line["provider"]) if "provider" in line else translation.end()
        told += given
    assert given == wanted
    return told

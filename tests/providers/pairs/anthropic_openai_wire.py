# SPDX-License-Identifier: Apache-2.0
"""Judges for the pairs between Anthropic and OpenAI: pinned request schemas, and the official clients' own types."""

import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from apps.providers.pairs.pair import Ask, Pair
from tests.upstreams import rules

Object = dict[str, Any]
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
# What the pinned schema of today's client no longer has; version 2023-06-01 of the wire does.
_SAMPLING = ("temperature", "top_p", "top_k")
_event = TypeAdapter(RawMessageStreamEvent)


def ask(model: str, **more: Any) -> Ask:
    """An exchange with fixed names."""
    return Ask(model="public-name", upstream_model=model, created=1_790_000_000, request_id="r1", **more)


def anthropic_takes(body: Object) -> None:
    """The body is a Messages request with no field too many."""
    fault = rules.first_fault(
        "anthropic", "messages", {name: body[name] for name in body if name not in _SAMPLING}
    )
    assert fault is None, fault
    turns = [message for message in body["messages"] if message["role"] != "system"]
    assert all(message["content"] for message in turns)
    assert all(one["role"] != other["role"] for one, other in itertools.pairwise(turns))


def openai_takes(body: Object) -> None:
    """The body is a chat completion request with no field too many."""
    fault = rules.first_fault("openai", "chat", body)
    assert fault is None, fault


def message_of(events: Iterable[Object]) -> Object:
    """What Anthropic's own client makes of a stream that keeps the rules of streams."""
    events = list(events)
    _keeps_the_rules(events)
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        snapshot = accumulate_event(
            event=_event.validate_python(event), current_snapshot=snapshot, json_bufs=buffers
        )
    found: Object = Message.model_validate(snapshot.model_dump()).model_dump(exclude_none=True)
    return found


def _keeps_the_rules(events: list[Object]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    current, count = None, 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert current is None
            assert event["index"] == count
            current, count = event["index"], count + 1
        else:
            assert event["index"] == current
            if event["type"] == "content_block_stop":
                current = None
    assert current is None


def completion_of(chunks: Iterable[Object]) -> Object:
    """What OpenAI's own client makes of chunks: one role, one finish, then at most one usage."""
    chunks = list(chunks)
    assert all(ChatCompletionChunk.model_validate(chunk) for chunk in chunks)
    told = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["delta"].get("role") for choice in told] == ["assistant", *[None] * (len(told) - 1)]
    finishes = [choice["finish_reason"] for choice in told]
    assert finishes[-1]
    assert not any(finishes[:-1])
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert len(usages) <= 1
    assert not usages or chunks[-1]["choices"] == []
    message: Any = {}
    for choice in told:
        message = accumulate_delta(message, json.loads(json.dumps(choice["delta"])))
    return {
        "id": chunks[0]["id"],
        "model": chunks[0]["model"],
        "message": _without_indexes(message),
        "finish_reason": finishes[-1],
        "usage": usages[0] if usages else None,
    }


def _without_indexes(message: Object) -> Object:
    return {
        name: [{key: part for key, part in entry.items() if key != "index"} for entry in value]
        if isinstance(value, list)
        else value
        for name, value in message.items()
    }


def whole_completion(body: Object) -> Object:
    """A whole completion in the form that `completion_of` gives."""
    ChatCompletion.model_validate(body)
    choice = body["choices"][0]
    message = {name: value for name, value in choice["message"].items() if value is not None}
    return {
        "id": body["id"],
        "model": body["model"],
        "message": message,
        "finish_reason": choice["finish_reason"],
        "usage": body["usage"],
    }


def replay(pair: Pair, exchange: Ask, events: Iterable[Object]) -> Iterator[Object]:
    """All events that a stream gives to the client."""
    translation = pair.stream(exchange)
    for event in events:
        yield from translation.feed(event)
    yield from translation.end()


def golden(folder: str) -> list[Any]:
    """The golden streams of a pair, by name."""
    return sorted((GOLDEN / folder).glob("*.jsonl"))


def check_golden(pair: Pair, model: str, path: pathlib.Path) -> list[Object]:
    """Each event of the provider gives just the events that stand below it; all of the client's are given back."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    translation = pair.stream(ask(model, include_usage=True))
    told: list[Object] = []
    wanted: list[Object] = []
    given: list[Object] = []
    for line in lines:
        if "client" in line:
            wanted.append(line["client"])
            continue
        assert given == wanted
        wanted = []
        given = translation.feed(line["provider"]) if "provider" in line else translation.end()
        told += given
    assert given == wanted
    assert {"end": True} in lines
    return told

# SPDX-License-Identifier: Apache-2.0
"""OpenAI clients in front of Anthropic: whole answers and streams."""

import json
import pathlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.providers.dialects import anthropic_usage
from apps.providers.pairs.openai_anthropic import PAIR
from tests.providers.pairs.anthropic_openai_wire import (
    ask,
    check_golden,
    completion_of,
    golden,
    replay,
    whole_completion,
)

NEW = "claude-opus-4-6"


def whole(content: list[dict[str, Any]], stop_reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A message of Anthropic."""
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 11,
        "output_tokens": 3,
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **more,
    }


def test_whole_answer() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "text", "text": "Grüße", "citations": None},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"ü": 1}},
    ]
    found = PAIR.answer(whole(content, "tool_use"), ask(NEW))
    assert whole_completion(found)["finish_reason"] == "tool_calls"
    assert found["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Grüße",
        "refusal": None,
        "reasoning_content": "Hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}],
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"ü":1}'}}],
    }
    assert (found["id"], found["model"], found["created"]) == ("msg_1", "public-name", 1_790_000_000)
    assert found["usage"] == {
        "prompt_tokens": 23,
        "completion_tokens": 3,
        "total_tokens": 26,
        "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
    }


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(stop_reason: str, finish: str) -> None:
    found = PAIR.answer(whole([{"type": "text", "text": "x"}], stop_reason), ask(NEW))
    assert found["choices"][0]["finish_reason"] == finish
    assert (found["choices"][0]["message"]["refusal"] is not None) == (stop_reason == "refusal")


@pytest.mark.parametrize("body", [{}, {"content": 5}, {"content": [{}]}, {"content": [{"type": "text"}]}])
def test_what_is_no_message_is_told_so(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no message"):
        PAIR.answer(body, ask(NEW))


@pytest.mark.parametrize("path", golden("openai_anthropic"), ids=lambda path: path.stem)
def test_golden_streams(path: pathlib.Path) -> None:
    completion_of(check_golden(PAIR, NEW, path))


def test_usage_is_told_to_those_who_ask() -> None:
    events = list(events_of([{"type": "text", "text": "a"}], "end_turn", 1))
    quiet = list(replay(PAIR, ask(NEW), events))
    assert all("usage" not in chunk and chunk["choices"] for chunk in quiet)
    asked = list(replay(PAIR, ask(NEW, include_usage=True), events))
    assert [bool(chunk["usage"]) for chunk in asked] == [False] * len(quiet) + [True]


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    translation = PAIR.stream(ask(NEW))
    for event in list(events_of([{"type": "text", "text": "a"}], "end_turn", 1))[:-2]:
        translation.feed(event)
    with pytest.raises(ValueError, match="ended before"):
        translation.end()


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_start", "index": 0},
        {"type": "message_delta", "usage": {}},
        {"type": "message_start"},
    ],
)
def test_what_is_no_event_is_told_so(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no event"):
        PAIR.stream(ask(NEW)).feed(event)


def test_events_of_later_versions_are_passed_over() -> None:
    translation = PAIR.stream(ask(NEW))
    assert translation.feed({"type": "news", "x": 1}) == []
    assert translation.feed({"x": 1}) == []


def _cut(words: str, size: int) -> list[str]:
    return [words[at : at + size] for at in range(0, len(words), size)]


def events_of(content: list[dict[str, Any]], stop_reason: str, size: int) -> Any:
    """The stream of a message, its texts cut in pieces of a size."""
    message = whole([], stop_reason)
    yield {
        "type": "message_start",
        "message": {**message, "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}},
    }
    for index, block in enumerate(content):
        kind = block["type"]
        empty: dict[str, Any] = {
            "text": {"type": "text", "text": ""},
            "thinking": {"type": "thinking", "thinking": "", "signature": ""},
            "tool_use": {**block, "input": {}},
        }.get(kind, block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        deltas: list[dict[str, Any]] = []
        if kind == "text":
            deltas = [{"type": "text_delta", "text": part} for part in _cut(block["text"], size)]
        elif kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": part} for part in _cut(block["thinking"], size)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        elif kind == "tool_use":
            words = (
                json.dumps(block["input"], separators=(",", ":"), ensure_ascii=False)
                if block["input"]
                else ""
            )
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in _cut(words, size)]
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "ping"}
    yield {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 3}}
    yield {"type": "message_stop"}


# How long an example takes says nothing about it.
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.from_regex(r"\A[a-z]{1,8}\Z")
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text, sign: {"type": "thinking", "thinking": text, "signature": sign}, WORDS, NAMES),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, NAMES),
    st.builds(
        lambda name, given: {"type": "tool_use", "name": name, "input": given},
        NAMES,
        st.dictionaries(WORDS, VALUES, max_size=3),
    ),
)


@settings(SLOWLY, max_examples=50)
@given(
    st.lists(BLOCKS, max_size=6), st.sampled_from(["end_turn", "max_tokens", "refusal"]), st.integers(1, 9)
)
def test_a_stream_amounts_to_the_whole_answer(content: list[dict[str, Any]], reason: str, size: int) -> None:
    blocks = [
        {"id": f"t{n}", **block} if block["type"] == "tool_use" else block for n, block in enumerate(content)
    ]
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else reason
    exchange = ask(NEW, include_usage=True)
    found = completion_of(replay(PAIR, exchange, events_of(blocks, reason, size)))
    wanted = whole_completion(PAIR.answer(whole(blocks, reason), exchange))
    wanted["message"].setdefault("content", "")
    found["message"] = {name: value for name, value in found["message"].items() if value is not None}
    assert found == wanted
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    assert found["message"]["content"] == "".join(texts)
    assert found["usage"]["prompt_tokens"] == _usage_of(whole(blocks)).input


def _usage_of(message: dict[str, Any]) -> Any:
    part = anthropic_usage.partial(message["usage"])
    assert part is not None
    return part.whole()

# SPDX-License-Identifier: Apache-2.0
"""Anthropic clients in front of OpenAI: whole answers and streams."""

import json
import pathlib
from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.providers.dialects import openai
from apps.providers.pairs import openai_anthropic
from apps.providers.pairs.anthropic_openai import PAIR
from tests.providers.pairs.anthropic_openai_wire import ask, check_golden, golden, message_of, replay

NEW = "gpt-5.2"
USAGE = {
    "prompt_tokens": 23,
    "completion_tokens": 9,
    "total_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
    "completion_tokens_details": {"reasoning_tokens": 4},
}


def completion(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A completion of OpenAI."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "logprobs": None,
        "finish_reason": finish,
        **more,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": NEW,
        "choices": [choice],
        "usage": USAGE,
    }


def answered(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """The message for a completion, which Anthropic's client takes."""
    found = PAIR.answer(completion(message, finish, **more), ask(NEW))
    Message.model_validate(found)
    return found


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_whole_answer() -> None:
    found = answered(
        {
            "content": "Grüße",
            "reasoning_content": "Hm",
            "tool_calls": [call("c1", "f", '{"ü":1}'), call("c2", "g", "")],
        },
        "tool_calls",
    )
    assert found == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "public-name",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "unsigned"},
            {"type": "text", "text": "Grüße"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"ü": 1}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "output_tokens": 9,
            "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 11,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }


def test_signed_thinking_is_kept() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "z"},
    ]
    found = answered({"content": "x", "reasoning_content": "Hm", "thinking_blocks": thoughts})
    assert found["content"] == [*thoughts, {"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    ("message", "choice", "reason", "sequence"),
    [
        ({"content": "x"}, {"finish": "stop"}, "end_turn", None),
        ({"content": "x"}, {"finish": "stop", "stop_reason": "END"}, "stop_sequence", "END"),
        ({"content": "x"}, {"finish": "length"}, "max_tokens", None),
        ({"content": "x"}, {"finish": "content_filter"}, "refusal", None),
        ({"content": None, "refusal": "No."}, {"finish": "stop"}, "refusal", None),
        # Some servers end with "stop" although there are calls.
        ({"tool_calls": [call("c", "f", "{}")]}, {"finish": "stop"}, "tool_use", None),
        ({"tool_calls": [call("c", "f", '{"a')]}, {"finish": "length"}, "max_tokens", None),
        ({"function_call": {"name": "f", "arguments": "{}"}}, {"finish": "function_call"}, "tool_use", None),
    ],
)
def test_stop_reasons(
    message: dict[str, Any], choice: dict[str, Any], reason: str, sequence: str | None
) -> None:
    found = answered(message, **choice)
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)
    if message.get("refusal"):
        assert found["content"] == [{"type": "text", "text": "No."}]
        assert found["stop_details"]["explanation"] == "No."


def test_arguments_that_are_no_object_are_kept_as_they_are() -> None:
    found = answered({"tool_calls": [call("c", "f", '["a"')]}, "tool_calls")
    assert found["content"][0]["input"] == {"INVALID_JSON": '["a"'}


def test_sources_on_the_web() -> None:
    source = {"start_index": 3, "end_index": 5, "title": "T", "url": "https://a.example"}
    found = answered(
        {"content": "It is so", "annotations": [{"type": "url_citation", "url_citation": source}]}
    )
    assert found["content"][0]["citations"] == [
        {
            "type": "web_search_result_location",
            "cited_text": "is",
            "encrypted_index": "",
            "title": "T",
            "url": "https://a.example",
        }
    ]


def test_usage_that_is_not_told_is_none() -> None:
    body = completion({"content": "x"})
    body["usage"] = None
    assert PAIR.answer(body, ask(NEW))["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    "body", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}, {"choices": 5}]
)
def test_what_is_no_completion_is_told_so(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no chat completion"):
        PAIR.answer(body, ask(NEW))


@pytest.mark.parametrize("path", golden("anthropic_openai"), ids=lambda path: path.stem)
def test_golden_streams(path: pathlib.Path) -> None:
    message_of(check_golden(PAIR, NEW, path))


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    translation = PAIR.stream(ask(NEW))
    translation.feed({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})
    with pytest.raises(ValueError, match="ended before"):
        translation.end()


@pytest.mark.parametrize(
    "chunk", [{}, {"choices": 5}, {"choices": [5]}, {"choices": [{"delta": {"tool_calls": [5]}}]}]
)
def test_what_is_no_chunk_is_told_so(chunk: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no chunk"):
        PAIR.stream(ask(NEW)).feed(chunk)


def test_what_comes_amid_a_call_is_told_behind_it() -> None:
    piece = {"index": 0, **call("a", "f", '{"a":')}
    chunks = [
        _chunk({"tool_calls": [piece]}),
        _chunk({"reasoning_content": "Hm"}),
        _chunk({"content": "Text"}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        _chunk({}, "tool_calls"),
    ]
    assert message_of(replay(PAIR, ask(NEW), chunks))["content"] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}},
        {"type": "thinking", "thinking": "Hm", "signature": "unsigned"},
        {"type": "text", "text": "Text"},
    ]


def test_arguments_after_their_end_are_no_answer() -> None:
    translation = PAIR.stream(ask(NEW))
    for piece in ({"index": 0, **call("a", "f", "{}")}, {"index": 1, **call("b", "g", "{")}):
        translation.feed({"choices": [{"delta": {"tool_calls": [piece]}}]})
    with pytest.raises(ValueError, match="had ended"):
        translation.feed(
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}
        )


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": NEW,
        "choices": [choice],
        **more,
    }


def _cut(words: str, size: int) -> list[str]:
    return [words[at : at + size] for at in range(0, len(words), size)]


# How long an example takes says nothing about it.
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NAMES = st.from_regex(r"\A[a-z]{1,8}\Z")
INPUTS = st.dictionaries(WORDS, st.integers() | WORDS | st.lists(st.booleans(), max_size=2), max_size=3)


@settings(SLOWLY, max_examples=50)
@given(
    st.data(),
    WORDS | st.just(""),
    WORDS | st.just(""),
    st.lists(st.tuples(NAMES, INPUTS), max_size=4),
    st.integers(1, 9),
)
def test_a_stream_amounts_to_the_whole_answer(
    data: st.DataObject, reasoning: str, text: str, calls: list[tuple[str, dict[str, Any]]], size: int
) -> None:
    """However the calls are mixed with each other, each one comes out whole and in its place."""
    told = [call(f"c{n}", name, json.dumps(given)) for n, (name, given) in enumerate(calls)]
    chunks = [_chunk({"role": "assistant", "content": ""})]
    chunks += [_chunk({"reasoning_content": part}) for part in _cut(reasoning, size)]
    chunks += [_chunk({"content": part}) for part in _cut(text, size)]
    heads = [{**one, "function": {"name": one["function"]["name"], "arguments": ""}} for one in told]
    waiting = [
        [{"function": {"arguments": part}} for part in _cut(one["function"]["arguments"], size)]
        for one in told
    ]
    begun = 0
    while begun < len(told) or any(waiting[:begun]):
        ready = [n for n in range(begun) if waiting[n]]
        number = data.draw(st.sampled_from([*ready, *([begun] if begun < len(told) else [])]))
        piece = heads[number] if number == begun else waiting[number].pop(0)
        begun += number == begun
        chunks.append(_chunk({"tool_calls": [{"index": number, **piece}]}))
    finish = "tool_calls" if told else "stop"
    chunks += [_chunk({}, finish), {**_chunk({}), "choices": [], "usage": USAGE}]
    found = message_of(replay(PAIR, ask(NEW), chunks))
    message = {"content": text or None, "reasoning_content": reasoning, "tool_calls": told}
    wanted = Message.model_validate(PAIR.answer(completion(message, finish), ask(NEW))).model_dump(
        exclude_none=True
    )
    assert found == wanted
    assert "".join(block["text"] for block in found["content"] if block["type"] == "text") == text
    usage = found["usage"]
    parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    provider = openai.DIALECT.decode(json.dumps(completion(message, finish)).encode()).usage
    assert provider is not None
    assert (sum(usage[part] for part in parts), usage["output_tokens"]) == (provider.input, provider.output)


@settings(SLOWLY, max_examples=30)
@given(WORDS, st.lists(st.tuples(NAMES, INPUTS), max_size=3))
def test_there_and_back_again(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    """An answer told to an OpenAI client by way of Anthropic's form is the answer that was given."""
    told = [
        call(f"c{n}", name, json.dumps(given, separators=(",", ":"), ensure_ascii=False))
        for n, (name, given) in enumerate(calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if told:
        message["tool_calls"] = told
    body = completion(message, "tool_calls" if told else "stop")
    back = openai_anthropic.PAIR.answer(PAIR.answer(body, ask(NEW)), ask(NEW))
    assert back["choices"] == body["choices"]
    assert {name: back["usage"][name] for name in USAGE} == USAGE

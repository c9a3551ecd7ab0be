# SPDX-License-Identifier: Apache-2.0
"""Answers and streams of OpenAI as Gemini clients get them, read by Google's own client."""

import json
import pathlib
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.dialects.openai import DIALECT
from apps.providers.pairs.gemini_openai import PAIR
from tests.providers.pairs import gemini_openai_wire as wire
from tests.providers.pairs.gemini_openai_wire import (
    Object,
    ask,
    calls_of,
    gemini_answer,
    replay,
    response_of,
    text_of,
)

USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 27,
    "total_tokens": 57,
    "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
}


def choice(content: str | None = None, reason: str | None = "stop", index: int = 0, **message: Any) -> Object:
    return {
        "index": index,
        "message": {"role": "assistant", "content": content, "refusal": None, **message},
        "finish_reason": reason,
        "logprobs": None,
    }


def answer(*choices: Object, **more: Any) -> Object:
    body = PAIR.answer(
        {"id": "chatcmpl-1", "object": "chat.completion", "choices": list(choices), **more}, ask()
    )
    gemini_answer(body)
    return body


def call(call_id: str, name: str, arguments: str, **more: Any) -> Object:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_a_whole_answer() -> None:
    assert answer(choice("Sun", reasoning_content="Hm."), usage=USAGE) == {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Sun"}]},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "modelVersion": "public-name",
        "responseId": "chatcmpl-1",
        "usageMetadata": {
            "promptTokenCount": 30,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 20,
            "totalTokenCount": 57,
            "cachedContentTokenCount": 10,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 26},
                {"modality": "AUDIO", "tokenCount": 4},
            ],
        },
    }


def test_googles_client_reads_text_calls_and_usage() -> None:
    read = gemini_answer(
        answer(choice("I look.", "tool_calls", tool_calls=[call("a", "f", '{"x":1}'), call("b", "g", "")]))
    )
    candidate = (read.candidates or [])[0]
    assert candidate.finish_reason is types.FinishReason.STOP
    calls = read.function_calls or []
    assert [(one.id, one.name, one.args) for one in calls] == [("a", "f", {"x": 1}), ("b", "g", {})]


def test_an_answer_goes_back_as_it_came() -> None:
    """The next request of a client brings OpenAI's own calls back."""
    calls = [call("a", "f", '{"x":1}'), call("b", "f", "{}")]
    content = answer(choice("I look.", "tool_calls", tool_calls=calls))["candidates"][0]["content"]
    responses = [
        {"functionResponse": {"id": one["id"], "name": "f", "response": {"output": one["id"]}}}
        for one in calls
    ]
    body = wire.to_openai(
        PAIR, {"contents": [{"parts": [{"text": "Hi"}]}, content, {"role": "user", "parts": responses}]}
    )
    assert body["messages"][1] == {"role": "assistant", "content": "I look.", "tool_calls": calls}
    assert [message["tool_call_id"] for message in body["messages"][2:]] == ["a", "b"]


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("function_call", "STOP"),
        ("abort", "OTHER"),
        (None, "OTHER"),
    ],
)
def test_reasons(reason: str | None, wanted: str) -> None:
    assert answer(choice("x", reason))["candidates"][0]["finishReason"] == wanted


def test_a_refusal_is_said_and_does_not_look_whole() -> None:
    found = answer(choice(None, refusal="I cannot help."))["candidates"][0]
    assert found["content"]["parts"] == [{"text": "I cannot help."}]
    assert (found["finishReason"], found["finishMessage"]) == ("SAFETY", "I cannot help.")


def test_broken_arguments_are_told_beside_the_whole_calls() -> None:
    calls = [call("a", "f", "{}"), call("b", "f", '{"x":')]
    found = answer(choice(None, "tool_calls", tool_calls=calls))["candidates"][0]
    assert calls_of(found["content"]["parts"]) == [{"id": "a", "name": "f", "args": {}}]
    assert found["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert '{"x":' in found["finishMessage"]


def test_citations_pictures_signatures_and_probabilities() -> None:
    tokens = [
        {
            "token": "Ł",
            "logprob": -0.5,
            "bytes": None,
            "top_logprobs": [{"token": "Ł", "logprob": -0.5, "bytes": None}],
        },
        {"token": "ó", "logprob": -1.5, "bytes": None, "top_logprobs": []},
    ]
    citation = {"start_index": 2, "end_index": 4, "title": "Łódź", "url": "https://a.example"}
    given = choice(
        "Łódź",
        annotations=[{"type": "url_citation", "url_citation": citation}],
        images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        tool_calls=[call("a", "f", "{}", extra_content={"google": {"thought_signature": "c2ln"}})],
    )
    found = answer({**given, "logprobs": {"content": tokens, "refusal": None}})["candidates"][0]
    assert found["content"]["parts"] == [
        {"text": "Łódź"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
    ]
    assert found["citationMetadata"]["citationSources"] == [
        {"startIndex": 4, "endIndex": 7, "uri": "https://a.example", "title": "Łódź"}
    ]
    assert found["avgLogprobs"] == -1.0
    assert found["logprobsResult"] == {
        "chosenCandidates": [{"token": "Ł", "logProbability": -0.5}, {"token": "ó", "logProbability": -1.5}],
        "topCandidates": [{"candidates": [{"token": "Ł", "logProbability": -0.5}]}, {"candidates": []}],
        "logProbabilitySum": -2.0,
    }


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": {"content": 5}}]}, {"choices": "x"}],
)
def test_what_is_no_completion_is_no_answer(body: Object) -> None:
    with pytest.raises(ValueError, match=r"choice|content"):
        PAIR.answer(body, ask())


@pytest.mark.parametrize("path", wire.golden("gemini_openai"), ids=lambda path: path.stem)
def test_golden_streams(path: pathlib.Path) -> None:
    response_of(wire.check_golden(PAIR, path))


@pytest.mark.parametrize("events", [[], [{"choices": [{"index": 0, "delta": {"content": "To"}}]}]])
def test_a_stream_that_breaks_off_is_not_ended(events: list[Object]) -> None:
    with pytest.raises(ValueError, match="the stream ended before"):
        list(replay(PAIR, ask(), events))


counts = st.integers(0, 10**6)
arguments = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.none(), max_size=3)
messages = st.fixed_dictionaries(
    {
        "content": st.text(max_size=12),
        "reasoning_content": st.text(max_size=12),
        "refusal": st.none() | st.text(min_size=1, max_size=6),
        "calls": st.lists(st.tuples(st.sampled_from(["f", "g"]), arguments), max_size=3),
    }
)


def message_of(drawn: Object) -> Object:
    calls = [call(f"call_{at}", name, json.dumps(args)) for at, (name, args) in enumerate(drawn["calls"])]
    texts = {name: drawn[name] for name in ("content", "reasoning_content", "refusal")}
    return {"role": "assistant", **texts, **({"tool_calls": calls} if calls else {})}


def pieces(message: Object, width: int) -> list[Object]:
    """The deltas of a message, its texts and arguments cut into pieces; those of parallel calls take turns."""
    found: list[Object] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        text = message[name] or ""
        found += [{name: text[at : at + width]} for at in range(0, len(text), width)]
    calls = message.get("tool_calls", [])
    for index, one in enumerate(calls):
        first = {**one, "index": index, "function": {"name": one["function"]["name"], "arguments": ""}}
        found.append({"tool_calls": [first]})
    longest = max((len(one["function"]["arguments"]) for one in calls), default=0)
    for at in range(0, longest, width):
        cut = [
            {"index": index, "function": {"arguments": one["function"]["arguments"][at : at + width]}}
            for index, one in enumerate(calls)
        ]
        found.append({"tool_calls": cut})
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, min_size=1, max_size=2), counts, counts, counts, counts, st.integers(1, 4))
def test_nothing_is_lost_and_streams_say_what_answers_say(
    drawn: list[Object], fresh: int, cached: int, visible: int, thoughts: int, width: int
) -> None:
    usage = {
        "prompt_tokens": fresh + cached,
        "completion_tokens": visible + thoughts,
        "total_tokens": fresh + cached + visible + thoughts,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }
    told = [message_of(one) for one in drawn]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk"}
    events: list[Object] = []
    for index, message in enumerate(told):
        events += [
            {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
            for delta in pieces(message, width)
        ]
    events += [
        {**head, "choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}
        for index in range(len(told))
    ]
    events.append({**head, "choices": [], "usage": usage})
    # Through the wire and its dialect, as the gateway does it.
    chunks = [DIALECT.decode_event(json.dumps(event).encode()).chunk or {} for event in events]
    stream = response_of(replay(PAIR, ask(), chunks))
    whole = answer(
        *({"index": i, "message": m, "finish_reason": "stop"} for i, m in enumerate(told)), usage=usage
    )
    for candidate, message, one in zip(whole["candidates"], told, drawn, strict=True):
        streamed, parts = stream["parts"][candidate["index"]], candidate["content"]["parts"]
        assert text_of(streamed) == text_of(parts) == message["content"] + (message["refusal"] or "")
        assert text_of(streamed, thought=True) == text_of(parts, thought=True) == message["reasoning_content"]
        assert calls_of(streamed) == calls_of(parts)
        assert [(found["name"], found["args"]) for found in calls_of(parts)] == one["calls"]
        end = stream["ends"][candidate["index"]]
        assert (
            end["finishReason"] == candidate["finishReason"] == ("SAFETY" if message["refusal"] else "STOP")
        )
        assert end.get("finishMessage") == candidate.get("finishMessage")
    found = whole["usageMetadata"]
    assert stream["usage"] == found
    assert found["promptTokenCount"] == fresh + cached
    assert found.get("cachedContentTokenCount", 0) == cached
    assert found["candidatesTokenCount"] + found.get("thoughtsTokenCount", 0) == visible + thoughts

# SPDX-License-Identifier: Apache-2.0
"""Answers and streams of Gemini as OpenAI clients get them, read by OpenAI's own client."""

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.dialects.gemini import DIALECT
from apps.providers.dialects.gemini_finish import FAILED, FILTERED
from apps.providers.pairs.openai_gemini import PAIR
from tests.providers.pairs import gemini_openai_wire as wire
from tests.providers.pairs.gemini_openai_wire import Object, ask, completion, completion_of, replay
from tests.upstreams.plan import SIGNATURE

USAGE = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 10,
    "toolUsePromptTokenCount": 5,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 62,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 22}, {"modality": "IMAGE", "tokenCount": 8}],
}


def candidate(*parts: Object, reason: str = "STOP", **more: Any) -> Object:
    return {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0, **more}


def answer(*candidates: Object, **more: Any) -> Object:
    body = PAIR.answer({"candidates": list(candidates), "responseId": "Xy", **more}, ask())
    completion(body)
    return body


def test_a_whole_answer() -> None:
    body = answer(
        candidate(
            {"text": "Sunny, ", "thought": True}, {"text": "I think.", "thought": True}, {"text": "Sun"}
        ),
        usageMetadata=USAGE,
        modelVersion="gemini-3.1-flash-002",
    )
    assert body == {
        "id": "chatcmpl-Xy",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "public-name",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Sun",
                    "refusal": None,
                    "reasoning_content": "Sunny, I think.",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 35,
            "completion_tokens": 27,
            "total_tokens": 62,
            "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 0, "image_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
        },
    }


def test_parallel_calls_keep_ids_arguments_and_signature() -> None:
    body = answer(
        candidate(
            {"functionCall": {"id": "a", "name": "f", "args": {"x": [1, None]}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "g"}},
        )
    )
    message = body["choices"][0]["message"]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert message["content"] is None
    assert message["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": '{"x":[1,null]}'},
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        },
        {"id": "call_r1_0_1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_an_answer_goes_back_as_it_came() -> None:
    """The next request of a client brings Gemini's own parts back."""
    parts: list[Object] = [
        {"text": "Hm.", "thought": True},
        {"text": "I look."},
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": SIGNATURE},
    ]
    message = answer(candidate(*parts))["choices"][0]["message"]
    body = wire.to_gemini(
        PAIR,
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                message,
                {"role": "tool", "tool_call_id": "a", "content": "1"},
            ]
        },
    )
    assert body["contents"][1] == {"role": "model", "parts": parts}


@pytest.mark.parametrize("reason", sorted(FILTERED | FAILED | {"SOMETHING_NEW"}))
def test_no_held_back_answer_looks_whole(reason: str) -> None:
    body = answer(candidate({"text": "To"}, reason=reason, finishMessage="Held back."))
    assert body["choices"][0]["finish_reason"] == "content_filter"
    assert body["choices"][0]["message"]["refusal"] == "Held back."
    silent = answer(candidate({"text": "To"}, reason=reason))
    assert reason in silent["choices"][0]["message"]["refusal"]


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "CONTINUATION"])
def test_length(reason: str) -> None:
    body = answer(candidate({"text": "To"}, reason=reason))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["refusal"] is None


def test_a_refused_prompt_is_a_refusal() -> None:
    body = PAIR.answer({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}, ask())
    completion(body)
    assert body["choices"][0]["finish_reason"] == "content_filter"
    assert body["choices"][0]["message"]["refusal"] == "The provider refused the prompt: SAFETY."
    assert body["id"] == "chatcmpl-r1"
    with pytest.raises(ValueError, match="neither candidates"):
        PAIR.answer({"usageMetadata": USAGE}, ask())


def test_pictures_citations_and_several_candidates() -> None:
    body = answer(
        candidate(
            {"text": "Łódź"},
            {"inlineData": {"mimeType": "image/png", "data": "-_8"}},
            citationMetadata={
                "citationSources": [{"startIndex": 4, "endIndex": 7, "uri": "https://a.example"}]
            },
        ),
        {**candidate({"text": "Two"}), "index": 1},
    )
    message = body["choices"][0]["message"]
    url = "data:image/png;base64,+/8="
    assert message["images"] == [{"type": "image_url", "image_url": {"url": url}}]
    citation = {"start_index": 2, "end_index": 4, "title": "", "url": "https://a.example"}
    assert message["annotations"] == [{"type": "url_citation", "url_citation": citation}]
    assert body["choices"][1]["message"]["content"] == "Two"


def test_what_no_completion_can_hold_is_no_answer_in_this_dialect() -> None:
    with pytest.raises(ValueError, match="of a kind"):
        answer(candidate({"executableCode": {"language": "PYTHON", "code": "1"}}))


@pytest.mark.parametrize("path", wire.golden("openai_gemini"), ids=lambda path: path.stem)
def test_golden_streams(path: pathlib.Path) -> None:
    completion_of(wire.check_golden(PAIR, path))


@pytest.mark.parametrize("events", [[], [{"candidates": [{"content": {"parts": [{"text": "To"}]}}]}]])
def test_a_stream_that_breaks_off_is_not_ended(events: list[Object]) -> None:
    with pytest.raises(ValueError, match="the stream ended before"):
        list(replay(PAIR, ask(), events))


def test_usage_is_told_only_where_it_was_asked_for() -> None:
    events: list[Object] = [{"candidates": [candidate({"text": "Hi"})], "usageMetadata": USAGE}]
    assert completion_of(replay(PAIR, ask(), events))["usage"] is None
    told = completion_of(replay(PAIR, ask(include_usage=True), events))["usage"]
    assert told == PAIR.answer(events[0], ask())["usage"]


counts = st.integers(0, 10**6)
names = st.sampled_from(["f", "g"])
arguments = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.none(), max_size=3)
parts = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(max_size=6)),
    st.builds(lambda text: {"text": text, "thought": True}, st.text(max_size=6)),
    st.builds(lambda name, args: {"functionCall": {"name": name, "args": args}}, names, arguments),
)
usages = st.builds(
    lambda prompt, cached, output, thoughts: {
        "promptTokenCount": prompt + cached,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": thoughts,
    },
    counts,
    counts,
    counts,
    counts,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(parts, max_size=4), min_size=1, max_size=5), usages, st.sampled_from([1, 2]))
def test_nothing_is_lost_and_streams_say_what_answers_say(
    groups: list[list[Object]], usage: Object, candidates: int
) -> None:
    def told(group: list[Object]) -> list[Object]:
        return [{"content": {"role": "model", "parts": group}, "index": i} for i in range(candidates)]

    ends = [{"finishReason": "STOP", "index": index} for index in range(candidates)]
    events: list[Object] = [{"candidates": told(group), "responseId": "X"} for group in groups]
    events.append({"candidates": ends, "usageMetadata": usage, "responseId": "X"})
    # Through the wire and its dialect, as the gateway does it.
    chunks = [DIALECT.decode_event(json.dumps(event).encode()).chunk or {} for event in events]
    stream = completion_of(replay(PAIR, ask(include_usage=True), chunks))
    flat = [part for group in groups for part in group]
    whole = answer(*({**one, "finishReason": "STOP"} for one in told(flat)), usageMetadata=usage)
    for choice in whole["choices"]:
        message, streamed = choice["message"], stream["messages"][choice["index"]]
        assert (streamed["content"] or "") == (message["content"] or "") == wire.text_of(flat)
        assert streamed.get("reasoning_content", "") == wire.text_of(flat, thought=True)
        calls = [
            {key: value for key, value in call.items() if key != "index"}
            for call in streamed.get("tool_calls", ())
        ]
        assert calls == message.get("tool_calls", [])
        made = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
        assert made == [(call["name"], call["args"]) for call in wire.calls_of(flat)]
        assert len({call["id"] for call in calls}) == len(calls)
        assert (
            stream["finishes"][choice["index"]]
            == choice["finish_reason"]
            == ("tool_calls" if calls else "stop")
        )
    assert stream["usage"] == whole["usage"]
    assert whole["usage"]["prompt_tokens"] == usage["promptTokenCount"]
    assert whole["usage"]["completion_tokens"] == usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]

# SPDX-License-Identifier: Apache-2.0
"""Gemini's requests, whole answers and errors."""

import json
from typing import Any

import pytest
from google.genai import types

from apps.core.outcome import Refuse
from apps.gateway.surfaces.gemini import SURFACE
from apps.gateway.texts import put_back
from apps.providers.dialects.signatures import from_anthropic
from tests.gateway.surfaces.build import (
    CARD,
    MASK,
    Object,
    asked,
    parse,
    refused,
    reviewed,
    roles,
    says,
    whole_of,
)

HELLO = [{"role": "user", "parts": [{"text": "Hello there"}]}]
DATA = "iVBORw0KGgo" * 32
ANSWER: Object = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "Let me see", "thought": True},
                    {"text": "It is on file"},
                    {"text": ".", "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "pay", "args": {"card": "x", "n": [1, None]}}, "thoughtSignature": "c2ln"},
                    {"inlineData": {"mimeType": "image/png", "data": DATA}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
            "avgLogprobs": -0.5,
            "groundingMetadata": {"webSearchQueries": ["files"]},
        },
        {"content": {"parts": [{"text": "Other"}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 1},
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
    "modelVersion": "gemini",
    "responseId": "r1",
}  # fmt: skip


@pytest.mark.parametrize("spelt", ["camel", "snake"])
def test_a_request_is_read_with_the_roles_of_its_texts(spelt: str) -> None:
    names = {
        "camel": ("systemInstruction", "generationConfig", "maxOutputTokens", "candidateCount", "functionCall", "functionResponse", "inlineData", "mimeType"),
        "snake": ("system_instruction", "generation_config", "max_output_tokens", "candidate_count", "function_call", "function_response", "inline_data", "mime_type"),
    }  # fmt: skip
    system, config, limit, count, call, response, data, mime = names[spelt]
    request = asked(
        SURFACE,
        {
            system: {"parts": [{"text": "system words"}]},
            config: {limit: 50, count: 2},
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": "user words"}, {data: {mime: "image/png", "data": DATA}}],
                },
                {
                    "role": "model",
                    "parts": [
                        {"text": "model words"},
                        {"text": "thought words", "thought": True},
                        {call: {"name": "pay", "args": {"card": "words"}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [{response: {"name": "pay", "response": {"result": "tool words"}}}],
                },
            ],
            "tools": [{"functionDeclarations": [{"name": "pay", "description": "what it does"}]}],
            "xUnknown": ["unknown words"],
        },
        model="gemini-x",
        stream=True,
    )

    assert (request.model, request.stream, request.output_limit, request.choices) == ("gemini-x", True, 50, 2)
    found = roles(request)
    assert {
        "system words": "system",
        "user words": "user",
        "model words": "assistant",
        "thought words": "reasoning",
        '{"card":"words"}': "tool_call",
        "tool words": "tool",
        "what it does": "document",
        "unknown words": "document",
    }.items() <= found.items()
    assert DATA not in found


def test_rewritten_texts_go_where_they_stood() -> None:
    call = {"name": "secret", "args": {"secret": ["secret"]}}
    request = asked(SURFACE, {"contents": {"parts": [{"text": "secret"}, {"functionCall": call}]}, "systemInstruction": "secret"})  # fmt: skip

    put_back(request.slots, [slot.text.replace("secret", "[X]") for slot in request.slots])

    text, called = request.fields["contents"]["parts"]
    assert text == {"text": "[X]"}
    assert called == {"functionCall": {"name": "[X]", "args": {"[X]": ["[X]"]}}}
    assert request.fields["systemInstruction"] == "[X]"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"parts": "hi"}]}, "contents[0]"),
        ({"contents": HELLO, "generationConfig": 1}, "generationConfig"),
        ({"contents": HELLO, "generationConfig": {"maxOutputTokens": "x"}}, "generationConfig.maxOutputTokens"),
        ({"contents": HELLO, "generation_config": {"max_output_tokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"contents": HELLO, "generationConfig": {"candidateCount": 1000}}, "generationConfig.candidateCount"),
        ({"contents": HELLO, "generationConfig": {"temperature": 3}}, "generationConfig.temperature"),
        ({"contents": HELLO, "generationConfig": {}, "generation_config": {}}, "generationConfig"),
        ({"contents": HELLO, "systemInstruction": 1}, "systemInstruction"),
        ([], None),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(body: Any, param: str | None) -> None:
    refusal = refused(SURFACE, body)

    assert (refusal.code, refusal.param) == ("invalid_request", param)
    assert f"`{param or 'body'}`" in refusal.message


@pytest.mark.parametrize("body", [b"nonsense", b"\xff", b'{"a":' * 5000, json.dumps({"contents": HELLO, "x": json.loads("[" * 70 + "]" * 70)}).encode()], ids=range(4))  # fmt: skip
def test_what_is_no_json_or_too_deep_is_refused(body: bytes) -> None:
    found = parse(SURFACE, body)

    assert isinstance(found, Refuse)
    assert found.code == "invalid_json"


@pytest.mark.parametrize(
    ("config", "left"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 9}}),
        ({"generationConfig": {"topK": 1}}, {"generationConfig": {"topK": 1, "maxOutputTokens": 9}}),
        ({"generation_config": {"max_output_tokens": None}}, {"generation_config": {"maxOutputTokens": 9}}),
        ({"generation_config": {"max_output_tokens": 5}}, {"generation_config": {"max_output_tokens": 5}}),
    ],
)
def test_output_is_limited_where_the_caller_did_not(config: Object, left: Object) -> None:
    request = asked(SURFACE, {"contents": HELLO, **config})

    SURFACE.limit_output(request, 9)

    assert request.fields == {"contents": HELLO, **left}


@pytest.mark.parametrize(
    ("more", "mode", "may"),
    [
        ({}, "", True),
        ({"generationConfig": {"temperature": 0, "candidateCount": 1}}, "", True),
        ({"generation_config": {"candidate_count": 2}}, "exact", False),
        ({"generationConfig": {"temperature": 0.5}}, "", False),
        ({"generationConfig": {"temperature": 0.5}}, "only", True),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "", False),
        ({}, "skip", False),
        ({"tools": [{"googleSearch": {}}]}, "exact", False),
        ({"cached_content": "cachedContents/1"}, "", False),
    ],
)
def test_what_may_be_cached(more: Object, mode: str, may: bool) -> None:
    assert SURFACE.cacheable({"contents": HELLO, **more}, mode) is may


def test_a_whole_answer_is_rewritten_everywhere() -> None:
    answer = json.loads(json.dumps(ANSWER).replace("Let me see", CARD).replace("on file", CARD).replace('"x"', f'"{CARD}"').replace('"card"', f'"{CARD}"').replace('"files"', f'"{CARD}"').replace("Other", CARD))  # fmt: skip

    rewritten = reviewed(SURFACE, MASK, answer)

    assert says(rewritten, CARD, "avgLogprobs") == []
    parts = rewritten["candidates"][0]["content"]["parts"]
    assert parts[3]["functionCall"]["args"] == {"[CREDIT_CARD]": "[CREDIT_CARD]", "n": [1, None]}
    assert parts[3]["thoughtSignature"] == "c2ln"
    types.GenerateContentResponse.model_validate(rewritten)


def test_a_value_that_is_spread_over_parts_is_found() -> None:
    parts = [{"text": CARD[:7]}, {"text": CARD[7:]}, {"text": "x", "thought": True}]
    answer = {"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]}

    rewritten = reviewed(SURFACE, MASK, answer)

    assert rewritten["candidates"][0]["content"]["parts"] == [{"text": "[CREDIT_CARD]"}, parts[2]]


@pytest.mark.parametrize("words", [CARD, "plain"])
def test_thinking_that_a_signature_carries_is_read(words: str) -> None:
    signature = from_anthropic([{"type": "thinking", "thinking": words, "signature": "s"}])
    parts: list[Object] = [{"text": "hi", "thoughtSignature": signature}, {"functionCall": {"name": "f"}, "thoughtSignature": signature}]  # fmt: skip
    answer = {"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]}

    told = reviewed(SURFACE, MASK, answer)["candidates"][0]["content"]["parts"]

    if words == "plain":
        assert told == parts
    else:
        assert told == [{"text": "hi"}, {**parts[1], "thoughtSignature": "skip_thought_signature_validator"}]


def test_an_answer_without_findings_stays_as_it_is() -> None:
    assert reviewed(SURFACE, MASK, ANSWER) == ANSWER


def test_a_replay_amounts_to_the_answer() -> None:
    chunks = SURFACE.replay(ANSWER)

    assert whole_of(SURFACE, chunks) == ANSWER
    assert ["usageMetadata" in chunk for chunk in chunks] == [False, False, True]
    for chunk in chunks:
        types.GenerateContentResponse.model_validate(chunk)
    tape = SURFACE.tape(keep=False)
    assert [tape.take(chunk) for chunk in chunks] == [False, False, True]
    assert tape.finish_reason == "tool_calls"
    assert tape.chars == len("Let me seeIt is on file.Other") + len('{"card":"x","n":[1,null]}')
    assert tape.whole() == b""


def test_a_refused_prompt_is_an_answer() -> None:
    answer = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini"}

    assert SURFACE.finish_reason(answer) == "content_filter"
    assert whole_of(SURFACE, SURFACE.replay(answer)) == answer
    assert SURFACE.tape(keep=False).take(answer) is True


def test_what_follows_the_end_waits_as_well() -> None:
    tape = SURFACE.tape(keep=True)
    text = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}

    ends = [
        tape.take(chunk)
        for chunk in (
            text,
            text,
            {"candidates": [{"finishReason": "STOP"}]},
            {"usageMetadata": {"totalTokenCount": 1}},
        )
    ]

    assert ends == [False, False, True, True]
    whole = json.loads(tape.whole())
    assert whole["candidates"] == [
        {"content": {"parts": [{"text": "aa"}], "role": "model"}, "finishReason": "STOP"}
    ]
    assert whole["usageMetadata"] == {"totalTokenCount": 1}


def test_a_tape_keeps_only_so_much() -> None:
    tape = SURFACE.tape(keep=True)
    for _ in range(11):
        tape.take({"candidates": [{"content": {"parts": [{"text": "x" * 100_000}]}}]})

    assert (tape.whole(), tape.chars) == (b"", 1_100_000)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Refuse("invalid_request", "m", "contents"), "INVALID_ARGUMENT"),
        (Refuse("missing_api_key", "m"), "UNAUTHENTICATED"),
        (Refuse("policy_blocked", "m"), "PERMISSION_DENIED"),
        (Refuse("model_not_found", "m"), "NOT_FOUND"),
        (Refuse("body_too_large", "m"), "INVALID_ARGUMENT"),
        (Refuse("rate_limit_exceeded", "m", headers=(("retry-after", "7"),)), "RESOURCE_EXHAUSTED"),
        (Refuse("internal_error", "m"), "INTERNAL"),
        (Refuse("upstream_error", "m"), "UNAVAILABLE"),
        (Refuse("draining", "m"), "UNAVAILABLE"),
        (Refuse("upstream_timeout", "m"), "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_have_the_shape_of_the_provider(refusal: Refuse, status: str) -> None:
    body = SURFACE.error(refusal, "req_1")

    error = json.loads(body)["error"]
    info, request, *waits = error.pop("details")
    assert error == {"code": refusal.status, "message": "m", "status": status}
    assert (info["reason"], info["domain"]) == (refusal.code.upper(), "smartflow")
    assert info["metadata"] == ({"param": refusal.param} if refusal.param else {})
    assert request["requestId"] == "req_1"
    assert [wait["retryDelay"] for wait in waits] == (["7s"] if refusal.headers else [])
    assert SURFACE.error_event(refusal, "req_1") == b"data: " + body + b"\n\n"


def test_an_event_is_data_alone() -> None:
    assert (SURFACE.frame({"a": 1}), SURFACE.ending) == (b'data: {"a":1}\n\n', b"")

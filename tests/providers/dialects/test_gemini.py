# SPDX-License-Identifier: Apache-2.0
"""Gemini's wire dialect: addresses, the key, answers, events, errors and usage."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.dialects.gemini import DIALECT, retry_after
from apps.providers.dialects.gemini_usage import read_usage, usage_metadata
from apps.providers.usage import MOST, Usage

ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1, "totalTokenCount": 5},
    "modelVersion": "gemini-3.1-flash",
}
ERROR = {"error": {"code": 429, "message": "Quota\nexceeded", "status": "RESOURCE_EXHAUSTED"}}


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-3.1-flash", False, "/models/gemini-3.1-flash:generateContent"),
        ("gemini-3.1-flash", True, "/models/gemini-3.1-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-3.1-flash", False, "/models/gemini-3.1-flash:generateContent"),
        ("tunedModels/mine-1", True, "/tunedModels/mine-1:streamGenerateContent?alt=sse"),
        ("odd model?key=x#y", False, "/models/odd%20model%3Fkey%3Dx%23y:generateContent"),
    ],
)
def test_the_model_is_in_the_address(model: str, stream: bool, path: str) -> None:
    assert DIALECT.path(model, stream=stream) == path


def test_the_key_is_in_a_header() -> None:
    assert ("x-goog-api-key", "secret") in DIALECT.headers("secret")
    assert [name for name, _ in DIALECT.headers("")] == ["content-type", "accept-encoding"]


def test_the_body_does_not_say_what_the_address_says() -> None:
    fields = {"model": "public", "stream": True, "contents": [], "future_field": {"a": 1}}
    assert json.loads(DIALECT.encode(fields, "gemini-3.1-flash")) == {
        "contents": [],
        "future_field": {"a": 1},
    }


def test_an_answer() -> None:
    whole = DIALECT.decode(raw(ANSWER))
    assert whole.body == ANSWER
    assert whole.usage == Usage(input=4, output=1)
    assert whole.finish_reason == "STOP"


def test_a_refused_prompt_is_an_answer() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    whole = DIALECT.decode(raw(body))
    assert whole.finish_reason == "SAFETY"
    assert whole.usage == Usage(input=4)
    assert DIALECT.error_text(raw(body)) == "The provider refused the prompt: SAFETY."
    told = {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "Not in this language."}}
    assert DIALECT.error_text(raw(told)) == "Not in this language."


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"{}", raw({"candidates": {}}), raw({"candidates": [1]})]
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        DIALECT.decode(body)
    with pytest.raises(ValueError, match=r".*"):
        DIALECT.decode_event(body)


def test_events() -> None:
    piece = DIALECT.decode_event(raw(ANSWER))
    assert piece.chunk == ANSWER
    assert piece.usage == Usage(input=4, output=1)
    assert not piece.done
    assert not piece.error
    only_usage = DIALECT.decode_event(raw({"usageMetadata": {"promptTokenCount": 4}}))
    assert only_usage.usage == Usage(input=4)


@pytest.mark.parametrize("body", [ERROR, [ERROR]])
def test_errors_in_a_stream(body: Any) -> None:
    piece = DIALECT.decode_event(raw(body))
    assert piece.error == "Quota exceeded"
    assert piece.chunk is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (raw(ERROR), "Quota exceeded"),
        (raw([ERROR]), "Quota exceeded"),
        (raw({"error": {"status": "INTERNAL"}}), "INTERNAL"),
        (raw({"error": "gone"}), "gone"),
        (raw({"error": {"message": "x" * 900}}), "x" * 500),
        (raw(ANSWER), ""),
        (b"<html>", ""),
        (b"[" * 5000, ""),
    ],
)
def test_the_text_of_an_error(body: bytes, text: str) -> None:
    assert DIALECT.error_text(body) == text
    assert DIALECT.decode_event(raw({"error": {}})).error == "the provider reported an error"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34s", "34"), ("0.4s", "1"), ("3.002899s", "4"), ("soon", ""), (7, ""), ("-3s", ""), (None, "")],
)
def test_when_to_come_back_is_said_in_the_body(delay: Any, seconds: str) -> None:
    kind = "type.googleapis.com/google.rpc"
    details = [{"@type": f"{kind}.QuotaFailure"}, {"@type": f"{kind}.RetryInfo", "retryDelay": delay}]
    assert retry_after(raw({"error": {"code": 429, "details": details}})) == seconds
    assert retry_after(raw(ERROR)) == retry_after(b"<html>") == ""


def test_usage_counts_everything_once() -> None:
    told = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "promptTokensDetails": [
            {"modality": "AUDIO", "tokenCount": 40},
            {"modality": "VIDEO", "tokenCount": 9},
        ],
        "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 3}, {"modality": "DOCUMENT"}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
        "candidatesTokensDetails": [
            {"modality": "IMAGE", "tokenCount": 12},
            {"modality": "AUDIO", "tokenCount": 1},
        ],
    }
    assert read_usage(told) == Usage(
        input=107,
        output=50,
        cache_read=60,
        reasoning=30,
        audio_input=40,
        image_input=3,
        video_input=9,
        cached_audio=25,
        audio_output=1,
        image_output=12,
    )


@pytest.mark.parametrize("told", [None, {}, [], "x", 5])
def test_no_usage(told: Any) -> None:
    assert read_usage(told) is None


@pytest.mark.parametrize("odd", ["5", -3, 1.5, None, [], 2**70])
def test_odd_counts_stay_within_bounds(odd: Any) -> None:
    told = dict.fromkeys(("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"), odd)
    usage = read_usage({**told, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": odd}, odd]})
    assert usage is not None
    assert usage.input in (0, MOST)
    assert usage.reasoning <= usage.output <= MOST


counts = st.integers(0, 10**9)


@settings(max_examples=100, deadline=None)
@given(counts, counts, counts, counts)
def test_usage_survives_the_way_there_and_back(fresh: int, cached: int, visible: int, thoughts: int) -> None:
    told = usage_metadata(prompt=fresh + cached, output=visible + thoughts, cached=cached, thoughts=thoughts)
    assert told["totalTokenCount"] == fresh + cached + visible + thoughts
    usage = read_usage(told)
    assert usage == Usage(
        input=fresh + cached, output=visible + thoughts, cache_read=cached, reasoning=thoughts
    )

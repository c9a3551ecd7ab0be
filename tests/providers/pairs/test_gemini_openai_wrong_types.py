# SPDX-License-Identifier: Apache-2.0
"""Both pairs of Gemini and OpenAI against anything in any place: a field is named, or the answer is none."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.providers.pairs import gemini_openai, openai_gemini
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError
from tests.providers.pairs.gemini_openai_wire import PNG, Object, ask

ANYTHING: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "x", [], ["x"], [{}], [[]], {}, {"x": 1}, {"text": 1}, 10**30,
)  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "format": "date"}},
    "required": ["a"],
    "anyOf": [{}],
}
OPENAI_REQUEST: Object = {
    "temperature": 0.5, "n": 2, "seed": 7, "stop": ["a"], "logprobs": True, "top_logprobs": 3, "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {
        "mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
    "service_tier": "auto", "verbosity": "medium", "modalities": ["text"], "parallel_tool_calls": True,
    "extra_body": {"google": {"cached_content": "c", "thinking_config": {"include_thoughts": True}}},
    "messages": [
        {"role": "system", "content": "be"},
        {"role": "user", "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}"}}]},
        {"role": "assistant", "content": "x", "tool_calls": [{
            "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "abcd"}}}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "{}"}]},
        {"role": "assistant", "reasoning_content": "hm", "images": [{"image_url": {"url": "https://x.example"}}]},
    ],
}  # fmt: skip
GEMINI_REQUEST: Object = {
    "systemInstruction": {"parts": [{"text": "be"}]},
    "contents": [
        {"role": "user", "parts": [
            {"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}, "mediaResolution": {"level": "x"}},
            {"fileData": {"fileUri": "https://x.example/a.png"}}, {"inline_data": {"mime_type": "text/css", "data": PNG}}]},
        {"role": "model", "parts": [{"text": "t", "thought": True}, {"functionCall": {"name": "f", "args": {"x": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "id": "i", "response": {"output": "y"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {
        "type": "OBJECT", "properties": {"x": {"type": "INTEGER", "nullable": True, "minimum": 1}},
        "propertyOrdering": ["x"]}}, {"name": "g", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "serviceTier": "flex",
    "generationConfig": {
        "temperature": 0.5, "candidateCount": 2, "stopSequences": ["a"], "responseLogprobs": True, "logprobs": 3,
        "responseMimeType": "application/json", "responseJsonSchema": SCHEMA, "responseModalities": ["TEXT"],
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}, "mediaResolution": "MEDIA_RESOLUTION_HIGH"},
}  # fmt: skip
GEMINI_ANSWER: Object = {
    "candidates": [{
        "content": {"role": "model", "parts": [
            {"text": "t", "thought": True}, {"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": PNG}},
            {"functionCall": {"name": "f", "args": {"x": 1}, "id": "q"}, "thoughtSignature": "abcd"}]},
        "finishReason": "STOP", "index": 0,
        "citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 3, "uri": "https://u.example"}]},
        "logprobsResult": {
            "chosenCandidates": [{"token": "h", "logProbability": -0.1}],
            "topCandidates": [{"candidates": [{"token": "h", "logProbability": -0.1}]}]}}],
    "promptFeedback": {"blockReason": "SAFETY"},
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "promptTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 2}]},
    "responseId": "r",
}  # fmt: skip
MESSAGE: Object = {
    "role": "assistant", "content": "x", "reasoning_content": "t", "refusal": "no",
    "annotations": [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "https://u.example"}}],
    "tool_calls": [{"id": "c", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "abcd"}}}],
    "images": [{"image_url": {"url": f"data:image/png;base64,{PNG}"}}],
}  # fmt: skip
LOGPROBS = {"content": [{"token": "h", "logprob": -0.1, "top_logprobs": [{"token": "h", "logprob": -0.1}]}]}
OPENAI_ANSWER: Object = {
    "id": "i",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": MESSAGE, "delta": MESSAGE, "logprobs": LOGPROBS}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from paths(part, (*path, key))


def put(value: Any, path: tuple[Any, ...], thing: Any) -> Any:
    """A copy of a value with something else in one place."""
    if not path:
        return thing
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], thing)
    return changed


def exchange(*, drop: bool = False) -> Ask:
    return ask(drop=drop, include_usage=True)


def openai_stream(body: Object) -> None:
    stream = gemini_openai.PAIR.stream(exchange())
    stream.feed(body)
    stream.end()


def gemini_stream(body: Object) -> None:
    stream = openai_gemini.PAIR.stream(exchange())
    stream.feed(body)
    stream.end()


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(
    ("translate", "sample"),
    [(openai_gemini.PAIR.request, OPENAI_REQUEST), (gemini_openai.PAIR.request, GEMINI_REQUEST)],
    ids=["openai", "gemini"],
)
def test_requests_name_the_field(
    translate: Callable[[Object, Ask], Object], sample: Object, drop: bool
) -> None:
    outcomes = set()
    for path, thing in itertools.product(paths(sample), ANYTHING):
        try:
            translate(put(sample, path, thing), exchange(drop=drop))
            outcomes.add("taken")
        except (InvalidError, InexpressibleError) as fault:
            outcomes.add(type(fault).__name__ if fault.param else "no field")
    assert {"taken", "InvalidError"} <= outcomes <= {"taken", "InvalidError", "InexpressibleError"}


@pytest.mark.parametrize(
    ("translate", "sample"),
    [
        (lambda body: openai_gemini.PAIR.answer(body, exchange()), GEMINI_ANSWER),
        (lambda body: gemini_openai.PAIR.answer(body, exchange()), OPENAI_ANSWER),
        (gemini_stream, GEMINI_ANSWER),
        (openai_stream, OPENAI_ANSWER),
    ],
    ids=["gemini", "openai", "gemini-stream", "openai-stream"],
)
def test_answers_are_none_in_this_dialect(translate: Callable[[Object], Any], sample: Object) -> None:
    refused = 0
    translate(sample)
    for path, thing in itertools.product(paths(sample), ANYTHING):
        try:
            translate(put(sample, path, thing))
        except ValueError:
            refused += 1
    assert refused

# SPDX-License-Identifier: Apache-2.0
"""Requests with any one value replaced: between Anthropic and Gemini nothing but the pair's two errors comes of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.providers.pairs import anthropic_gemini, gemini_anthropic
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Pair

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2.5,
    "",
    "odd",
    [],
    [None],
    ["odd"],
    [[]],
    {},
    {"odd": 1},
    {"type": []},
)
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}

ANTHROPIC: dict[str, Any] = {
    "model": "m", "max_tokens": 5000, "temperature": 0.5, "top_p": 0.5, "top_k": 5, "stop_sequences": ["a"],
    "system": [{"type": "text", "text": "s"}], "service_tier": "auto", "speed": "standard", "metadata": {"user_id": "u"},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "allowed_callers": ["direct"]}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
    "messages": [
        {"role": "user", "content": [
            {"type": "image", "source": PNG, "transformations": {"oversized_image": "downsize"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "title": "t",
             "citations": {"enabled": False}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "gemini-next:c2ln"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "i", "is_error": False,
             "content": [{"type": "text", "text": "r"}, {"type": "image", "source": {"type": "url", "url": "https://a"}}]}]},
    ],
}  # fmt: skip
GEMINI: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [
            {"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA", "displayName": "n"}},
            {"fileData": {"fileUri": "https://a.example/b.pdf", "mimeType": "application/pdf"}}]},
        {"role": "model", "parts": [
            {"text": "t", "thought": True},
            {"functionCall": {"id": "i", "name": "f", "args": {"a": 1}},
             "thoughtSignature": "YW50aHJvcGljLTE6W3sidHlwZSI6InJlZGFjdGVkX3RoaW5raW5nIiwiZGF0YSI6ImEifV0="}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "i", "name": "f", "response": {"output": "o"},
         "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}], "scheduling": "SCHEDULING_UNSPECIFIED"}}]},
    ],
    "systemInstruction": {"parts": [{"text": "s"}]},
    "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "behavior": "BLOCKING",
              "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
              "response": {"type": "STRING"}}]}, {"googleSearch": {"searchTypes": {"webSearch": {}}, "excludeDomains": ["a"]}}],
    "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "generationConfig": {"temperature": 1, "topP": 1, "maxOutputTokens": 5000, "stopSequences": ["a"], "candidateCount": 1,
                         "responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {}},
                         "responseModalities": ["TEXT"], "thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True}},
    "serviceTier": "standard", "labels": {"a": "b"}, "store": True,
}  # fmt: skip
CASES: dict[str, tuple[Pair, dict[str, Any], str]] = {
    "anthropic to gemini 3": (anthropic_gemini.PAIR, ANTHROPIC, "gemini-3.1-pro"),
    "anthropic to gemini 2.5": (anthropic_gemini.PAIR, {k: v for k, v in ANTHROPIC.items() if k != "output_config"}, "gemini-2.5-flash"),
    "gemini to a claude with effort": (gemini_anthropic.PAIR, GEMINI, "claude-opus-4-6"),
    "gemini to a claude with budgets": (gemini_anthropic.PAIR, GEMINI, "claude-sonnet-4-5"),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    found = list(value) if isinstance(value, list) else dict(value)
    found[path[0]] = replaced(found[path[0]], path[1:], odd)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_request_itself_is_taken(name: str) -> None:
    pair, fields, model = CASES[name]
    asked = Ask(model="m", upstream_model=model, request_id="r")
    assert pair.request(fields, asked)
    assert not asked.dropped


def refused(pair: Pair, fields: Any, ask: Ask) -> str | None:
    """The field that stops a request; None where it is taken."""
    try:
        pair.request(fields, ask)
    except (InvalidError, InexpressibleError) as error:
        return error.param or "unnamed"
    return None


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_an_odd_value_is_taken_or_told(name: str, drop: bool) -> None:
    pair, fields, model = CASES[name]
    told = []
    for path in places(fields):
        for odd in ODD:
            given = replaced(fields, path, odd)
            before = json.dumps(given)
            told.append(refused(pair, given, Ask(model="m", upstream_model=model, request_id="r", drop=drop)))
            assert json.dumps(given) == before, (path, odd)
    assert "unnamed" not in told
    assert 0 < told.count(None) < len(told)

# SPDX-License-Identifier: Apache-2.0
"""Estimates bound what providers may count, and nothing that is text passes as something cheaper."""

import json
from typing import Any

import pytest

from apps.providers.estimate import (
    ALLOWANCES,
    OVERHEAD,
    UNKNOWN_CONTEXT,
    Weight,
    bound,
    likely,
    likely_input,
    weigh,
)

DATA = "A" * 40_000


def of(fields: dict[str, Any], dialect: str = "openai", **more: Any) -> int:
    return bound(json.dumps(fields, ensure_ascii=False).encode(), fields, dialect=dialect, **more)


def say(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def test_a_text_has_no_more_tokens_than_bytes() -> None:
    fields = {"messages": [{"role": "user", "content": "Ærøskøbing 日本語 🙂" * 100}]}
    body = json.dumps(fields, ensure_ascii=False).encode()

    assert bound(body, fields, dialect="openai") == len(body) + OVERHEAD
    assert bound(body, fields, dialect="openai", context=50) == 50


@pytest.mark.parametrize("dialect", ALLOWANCES)
def test_tools_that_the_provider_describes_itself_are_allowed_for(dialect: str) -> None:
    plain = {"messages": []}
    tools = {"messages": [], "tools": []}
    called = {"messages": [], "tools": [{"type": "function", "function": {"name": "f"}}]}

    grown = len(json.dumps(called)) - len(json.dumps(plain))
    assert of(called, dialect) - of(plain, dialect) == grown + ALLOWANCES[dialect].tools
    assert of(tools, dialect) - of(plain, dialect) == len(json.dumps(tools)) - len(json.dumps(plain))


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai", say({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}})),
        ("openai", {"input": say({"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"})["messages"]}),
        ("anthropic", say({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}})),
        (
            "anthropic",
            say(
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "image", "source": {"type": "base64", "data": DATA}}],
                }
            ),
        ),
        ("gemini", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}]}),
        ("gemini", {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": DATA}}]}]}),
    ],
)  # fmt: skip
def test_a_picture_counts_by_its_allowance_and_not_by_its_bytes(dialect: str, fields: dict[str, Any]) -> None:
    assert weigh(fields) == Weight(images=1, inline=len(DATA))
    bare = len(json.dumps(fields)) - len(DATA)
    assert of(fields, dialect) == bare + OVERHEAD + ALLOWANCES[dialect].image


def test_a_picture_behind_an_address_counts_like_one_that_is_sent() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    assert of(say(part)) > ALLOWANCES["openai"].image
    assert of(say(part), upstream_model="gpt-4o-mini-2024-07-18") > 48_000


def test_sound_and_film_count_by_their_least_density() -> None:
    spoken = say({"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}})
    film = {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": DATA}}]}]}

    assert of(spoken) == len(json.dumps(spoken)) - len(DATA) + OVERHEAD + 40 * ALLOWANCES["openai"].sound
    assert of(film, "gemini") == len(json.dumps(film)) - len(DATA) + OVERHEAD + 40 * ALLOWANCES["gemini"].film


@pytest.mark.parametrize(
    "fields",
    [
        say({"type": "file", "file": {"file_id": "file-1"}}),
        say({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
        say({"type": "document", "source": {"type": "base64", "data": DATA}}),
        {"contents": [{"parts": [{"fileData": {"fileUri": "gs://a/b"}}]}]},
        {"contents": [], "cachedContent": "cachedContents/1"},
        {"input": "hello", "previous_response_id": "resp_1"},
        {"messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"contents": [], "tools": [{"googleSearch": {}}]},
    ],
)
def test_what_nobody_can_see_is_bound_by_the_context_only(fields: dict[str, Any]) -> None:
    assert of(fields, context=200_000) == 200_000
    assert of(fields) == UNKNOWN_CONTEXT


def test_a_document_of_text_counts_as_text() -> None:
    fields = say({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": DATA}})

    assert of(fields, "anthropic") == len(json.dumps(fields)) + OVERHEAD


@pytest.mark.parametrize(
    "fields",
    [
        say({"type": "tool_use", "name": "f", "input": {"type": "input_audio", "input_audio": {"data": DATA}}}),
        {"contents": [{"parts": [{"functionCall": {"args": {"inlineData": {"mimeType": "audio/x", "data": DATA}}}}]}]},
        {"messages": [], "tools": [{"parameters": {"type": "image", "source": {"type": "base64", "data": DATA}}}]},
        say({"type": ["image"], "text": DATA}),
        say({"type": {"a": 1}, "source": DATA}),
    ],
)  # fmt: skip
def test_free_json_that_looks_like_a_part_is_text(fields: dict[str, Any]) -> None:
    assert weigh(fields).inline == 0
    assert of(fields) >= len(json.dumps(fields))


def test_the_likely_number_is_below_the_bound() -> None:
    fields = say({"type": "text", "text": "hello " * 500})
    body = json.dumps(fields).encode()

    for dialect in ALLOWANCES:
        assert 0 < likely_input(body, fields, dialect=dialect) < bound(body, fields, dialect=dialect)
    assert (likely(0, dialect="openai"), likely(1, dialect="openai"), likely(9, dialect="anthropic")) == (
        0,
        1,
        3,
    )

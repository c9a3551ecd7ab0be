# SPDX-License-Identifier: Apache-2.0
"""Anthropic's wire dialect and the words that its translations share."""

import json
from typing import Any

import pytest
from anthropic.types import Message

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects import anthropic_message, anthropic_thinking, anthropic_usage
from apps.providers.dialects.anthropic import DIALECT
from apps.providers.usage import Usage, merge

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    },
}


def encoded(value: Any) -> bytes:
    """Bytes of the wire."""
    return json.dumps(value).encode()


def test_path_and_headers() -> None:
    assert DIALECT.path("claude", stream=True) == DIALECT.path("claude", stream=False) == "/messages"
    headers = dict(DIALECT.headers("secret"))
    assert headers["x-api-key"] == "secret"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["content-type"] == "application/json"
    assert "x-api-key" not in dict(DIALECT.headers(""))


def test_request_has_the_name_of_the_model_and_all_other_fields() -> None:
    body = json.loads(DIALECT.encode({"model": "public", "max_tokens": 5, "news": [1]}, "claude-x"))
    assert body == {"model": "claude-x", "max_tokens": 5, "news": [1]}


def test_whole_message() -> None:
    whole = DIALECT.decode(encoded(MESSAGE))
    assert whole.body == MESSAGE
    assert whole.finish_reason == "end_turn"
    assert whole.usage == Usage(
        input=135,
        output=9,
        cache_read=100,
        cache_write_5m=10,
        cache_write_1h=20,
        reasoning=4,
        tools={"web_search": 2},
    )


@pytest.mark.parametrize("usage", [None, 5, []])
def test_usage_that_is_not_told(usage: Any) -> None:
    assert DIALECT.decode(encoded({**MESSAGE, "usage": usage})).usage is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"type":"error"}', b'{"type":"message"}', b'{"type":"message","content":[5]}'],
)
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        DIALECT.decode(body)


def test_usage_of_a_stream_is_put_together() -> None:
    start = {
        **MESSAGE,
        "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1},
    }
    first = DIALECT.decode_event(encoded({"type": "message_start", "message": start}))
    last = DIALECT.decode_event(
        encoded({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}})
    )
    assert first.part is not None
    assert last.part is not None
    assert merge(first.part, last.part).whole() == Usage(input=105, output=9, cache_read=100)
    more = {"output_tokens": 9, "input_tokens": 2000, "cache_read_input_tokens": None}
    later = DIALECT.decode_event(encoded({"type": "message_delta", "delta": {}, "usage": more}))
    assert later.part is not None
    assert merge(first.part, later.part).whole() == Usage(input=2100, output=9, cache_read=100)


def test_events_are_handed_on_and_the_last_one_ends() -> None:
    for kind in ("ping", "content_block_start", "content_block_delta", "news"):
        piece = DIALECT.decode_event(encoded({"type": kind}))
        assert (piece.chunk, piece.done, piece.error, piece.part) == ({"type": kind}, False, "", None)
    piece = DIALECT.decode_event(b'{"type":"message_stop"}')
    assert (piece.chunk, piece.done) == ({"type": "message_stop"}, True)


def test_faults_in_a_stream() -> None:
    fault = {"type": "error", "error": {"type": "overloaded_error", "message": "Over\nloaded"}}
    assert DIALECT.decode_event(encoded(fault)).error == "Over loaded"
    assert DIALECT.decode_event(b'{"type":"error"}').error == "the provider reported an error"
    for wrong in (b"", b"{}", b"[]", b'{"type":5}'):
        with pytest.raises(ValueError, match=r".+"):
            DIALECT.decode_event(wrong)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}',
            "max_tokens: Field required",
        ),
        (encoded({"error": {"message": "x" * 900}}), "x" * 500),
        (b"<html>", ""),
        (b'{"error":{}}', ""),
        (b"[" * 100_000, ""),
    ],
)
def test_error_text(body: bytes, text: str) -> None:
    assert DIALECT.error_text(body) == text


def test_usage_objects_are_merged_by_what_is_said() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1}
    merged = anthropic_usage.merged(first, {"output_tokens": 9, "input_tokens": None})
    assert merged == {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 9}
    assert anthropic_usage.merged(first, None) == first
    assert anthropic_usage.counts(merged) == (5, 7, 0, 9, None)


def test_turns_join_neighbours_and_begin_with_results() -> None:
    turns = blocks.Turns()
    turns.add("user", [blocks.text("a")])
    turns.add("user", [])
    turns.add("user", [blocks.text("b")])
    turns.add("assistant", [blocks.tool_use("1", "f", {}), blocks.tool_use("2", "f", {})])
    turns.add("user", [blocks.tool_result("1", "x")])
    turns.add("user", [blocks.text("c")])
    turns.add("user", [blocks.tool_result("2", "y", error=True)])
    assert [turn["role"] for turn in turns.messages] == ["user", "assistant", "user"]
    assert turns.messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": "x"},
        {"type": "tool_result", "tool_use_id": "2", "content": "y", "is_error": True},
        {"type": "text", "text": "c"},
    ]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:image/png;base64,AA==", ("image/png", "AA==")),
        ("data:image/JPG;base64,AA==", ("image/jpeg", "AA==")),
        ("data:text/plain;charset=utf-8;base64,AA==", ("text/plain", "AA==")),
        ("data:text/plain,hi", None),
        ("https://a.example/data:image/png;base64,AA", None),
    ],
)
def test_data_urls(url: str, found: Any) -> None:
    assert blocks.data_url(url) == found


@pytest.mark.parametrize(
    ("words", "given"),
    [('{"a":1}', {"a": 1}), ("", {}), (" ", {}), ("[1]", None), ("{", None), ("[" * 100_000, None)],
)
def test_arguments(words: str, given: Any) -> None:
    assert blocks.parsed_input(words) == given
    assert blocks.input_or_broken(words) == ({"INVALID_JSON": words} if given is None else given)


def test_the_writer_numbers_blocks_and_ends_once() -> None:
    writer = anthropic_message.Writer("msg_1", "m")
    events = [
        *writer.start(),
        *writer.start(),
        *writer.thinking("a"),
        *writer.signature("s"),
        *writer.thinking("b"),
        *writer.redacted("z"),
        *writer.text("c"),
        *writer.citation({"type": "page_location"}),
        *writer.text("d"),
        *writer.tool("t", "f"),
        *writer.tool_input({"a": 1}),
        *writer.tool_input(""),
        *writer.stop("tool_use", anthropic_message.usage(fresh=1, output=2)),
        *writer.stop("end_turn", anthropic_message.usage()),
    ]
    told = [(event["type"].removeprefix("content_block_"), event.get("index")) for event in events]
    assert told == [
        ("message_start", None),
        *[("start", 0), ("delta", 0), ("delta", 0), ("stop", 0)],
        *[("start", 1), ("delta", 1), ("delta", 1), ("stop", 1)],
        *[("start", 2), ("stop", 2)],
        *[("start", 3), ("delta", 3), ("delta", 3), ("delta", 3), ("stop", 3)],
        *[("start", 4), ("delta", 4), ("stop", 4)],
        *[("message_delta", None), ("message_stop", None)],
    ]
    signatures = [
        event["delta"]["signature"]
        for event in events
        if event.get("delta", {}).get("type") == "signature_delta"
    ]
    assert signatures == ["s", blocks.UNSIGNED]


def test_a_whole_message_is_one_to_the_official_client() -> None:
    found = anthropic_message.message(
        message_id="msg_1",
        model="m",
        content=[blocks.text("x")],
        stop_reason="refusal",
        stop_details=anthropic_message.refusal("no"),
        usage=anthropic_message.usage(fresh=-1, thinking=3),
    )
    message = Message.model_validate(found)
    assert message.stop_details is not None
    assert message.stop_details.explanation == "no"
    assert message.usage.input_tokens == 0


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("claude-opus-4.6", (4, 6)),
        ("us.anthropic.claude-haiku-4-5-v1:0", (4, 5)),
        ("claude-opus-5", (5, 0)),
        ("my-model", None),
    ],
)
def test_versions_by_name(model: str, version: Any) -> None:
    assert anthropic_thinking.version(model) == version


@pytest.mark.parametrize(
    ("effort", "most", "budget"),
    [
        ("minimal", 4096, 1024),
        ("low", 4096, 2048),
        ("high", 4096, 2048),
        ("max", 10**6, 65536),
        ("low", 1025, 1024),
        ("low", 1024, 0),
    ],
)
def test_budgets(effort: str, most: int, budget: int) -> None:
    assert anthropic_thinking.budget_of(effort, most) == budget

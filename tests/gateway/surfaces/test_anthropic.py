# SPDX-License-Identifier: Apache-2.0
"""Anthropic's requests, whole answers and errors."""

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message

from apps.core.outcome import Refuse
from apps.gateway.surfaces.anthropic import SURFACE
from apps.gateway.texts import put_back
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

HELLO = [{"role": "user", "content": "Hello there"}]
PICTURE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 30}


def fields(**more: Any) -> Object:
    return {"model": "m", "max_tokens": 10, "messages": HELLO, **more}


ANSWER: Object = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Let me see", "signature": "c2lnbmVk"},
        {
            "type": "text",
            "text": "It is on file",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "file",
                    "document_index": 0,
                    "document_title": "Files",
                    "start_char_index": 0,
                    "end_char_index": 4,
                    "file_id": None,
                }
            ],
        },
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "files"},
            "caller": {"type": "direct"},
        },
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "caller": {"type": "direct"},
            "content": [
                {
                    "type": "web_search_result",
                    "title": "All files",
                    "url": "https://files.example",
                    "encrypted_content": "ZW5jcnlwdGVk",
                    "page_age": None,
                }
            ],
        },
        {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"card": "x", "n": [1, {"a": None}]}},
        {"type": "tool_use", "id": "toolu_2", "name": "nothing", "input": {}},
        {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 3},
}


def test_a_request_is_read_with_the_roles_of_its_texts() -> None:
    request = asked(
        SURFACE,
        fields(
            system=[{"type": "text", "text": "system words"}],
            stream=True,
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "user words"}, {"type": "image", "source": PICTURE}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "thought words", "signature": "sig"},
                        {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"card": "words"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "tool words"}]},
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "paper words"}},
                    ],
                },
            ],
            metadata={"user_id": "caller words"},
            x_unknown={"deep": ["unknown words"]},
        ),
    )  # fmt: skip

    assert (request.model, request.stream, request.output_limit, request.choices) == ("m", True, 10, 1)
    found = roles(request)
    assert {
        "system words": "system",
        "user words": "user",
        "thought words": "reasoning",
        '{"card":"words"}': "tool_call",
        "tool words": "tool",
        "paper words": "document",
        "caller words": "document",
        "unknown words": "document",
    }.items() <= found.items()
    assert PICTURE["data"] not in found
    assert request.fields["x_unknown"] == {"deep": ["unknown words"]}


def test_rewritten_texts_go_where_they_stood() -> None:
    request = asked(
        SURFACE,
        fields(
            messages=[
                *HELLO,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "secret", "signature": "c2ln"},
                        {"type": "thinking", "thinking": "plain", "signature": "c2ln"},
                        {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"secret": ["secret"]}},
                    ],
                },
            ]
        ),
    )

    put_back(
        request.slots,
        [
            slot.text.replace("secret", "[X]") if "secret" in slot.text else slot.text
            for slot in request.slots
        ],
    )

    thought, plain, call = request.fields["messages"][1]["content"]
    assert (thought["thinking"], thought["signature"]) == ("[X]", "unsigned")
    assert (plain["thinking"], plain["signature"]) == ("plain", "c2ln")
    assert call == {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"[X]": ["[X]"]}}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": 1, "messages": HELLO}, "model"),
        ({"model": "m", "messages": HELLO}, "max_tokens"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        (fields(max_tokens="1"), "max_tokens"),
        (fields(max_tokens=-1), "max_tokens"),
        (fields(max_tokens=True), "max_tokens"),
        (fields(messages=[]), "messages"),
        (fields(messages=["x"]), "messages.0"),
        (fields(messages=[{"role": "user"}]), "messages.0.content"),
        (fields(stream="yes"), "stream"),
        (fields(temperature=1.5), "temperature"),
        (fields(system=1), "system"),
        (fields(stop_sequences=[1]), "stop_sequences[0]"),
        (fields(model=""), "model"),
        ([], None),
    ],
)
def test_a_wrong_field_is_named(body: Any, param: str | None) -> None:
    refusal = refused(SURFACE, body)

    assert (refusal.code, refusal.param) == ("invalid_request", param)
    assert f"`{param or 'body'}`" in refusal.message


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"\xff",
        b'{"a":' * 5000,
        json.dumps(fields(x=json.loads("[" * 70 + "]" * 70))).encode(),
        json.dumps(fields(messages=[{"role": "user", "content": [{"type": "tool_use", "input": {"x": json.loads("[" * 70 + "1" + "]" * 70)}}]}])).encode(),
    ],
    ids=range(5),
)  # fmt: skip
def test_what_is_no_json_or_too_deep_is_refused(body: bytes) -> None:
    found = parse(SURFACE, body)

    assert isinstance(found, Refuse)
    assert found.code == "invalid_json"


@pytest.mark.parametrize(
    ("more", "mode", "may"),
    [
        ({}, "", True),
        ({"temperature": 0}, "", True),
        ({"temperature": 0.5}, "", False),
        ({"temperature": 0.5}, "exact", True),
        ({}, "skip", False),
        ({"tools": [{}]}, "only", False),
        ({"tools": []}, "", True),
        ({"thinking": {"type": "enabled"}}, "", False),
        ({"thinking": {"type": "disabled"}}, "", True),
        ({"container": "c"}, "", False),
    ],
)
def test_what_may_be_cached(more: Object, mode: str, may: bool) -> None:
    assert SURFACE.cacheable(fields(**more), mode) is may


def test_a_whole_answer_is_rewritten_everywhere() -> None:
    answer = json.loads(
        json.dumps(ANSWER).replace("on file", CARD).replace('"query": "files"', f'"query": "{CARD}"')
        .replace("All files", CARD).replace('"cited_text": "file"', f'"cited_text": "{CARD}"')
        .replace('"a": null', '"a": 4111111111111111').replace('"card"', f'"{CARD}"')
    )  # fmt: skip

    rewritten = reviewed(SURFACE, MASK, answer)

    assert says(rewritten, CARD, "4111111111111111") == []
    call = rewritten["content"][4]
    assert call["input"] == {"[CREDIT_CARD]": "x", "n": [1, {"a": "[CREDIT_CARD]"}]}
    assert rewritten["content"][0]["signature"] == "c2lnbmVk"
    assert Message.model_validate(rewritten, strict=False).content[5].type == "tool_use"


def test_rewritten_thinking_loses_its_signature() -> None:
    answer = json.loads(json.dumps(ANSWER).replace("Let me see", CARD))

    thought = reviewed(SURFACE, MASK, answer)["content"][0]

    assert thought == {"type": "thinking", "thinking": "[CREDIT_CARD]", "signature": "unsigned"}


def test_an_answer_without_findings_stays_as_it_is() -> None:
    assert reviewed(SURFACE, MASK, ANSWER) == ANSWER


def test_a_replay_amounts_to_the_answer() -> None:
    events = SURFACE.replay(ANSWER)

    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("message_start", "message_delta", "message_stop")
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(ANSWER["content"])
    assert whole_of(SURFACE, events) == ANSWER
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        message: Any = event
        snapshot = accumulate_event(event=message, current_snapshot=snapshot, json_bufs=buffers)
    told = snapshot.to_dict()
    assert told["stop_reason"] == "tool_use"
    assert [block["type"] for block in told["content"]] == [block["type"] for block in ANSWER["content"]]
    assert [block.get("input") for block in told["content"]] == [
        block.get("input") for block in ANSWER["content"]
    ]
    assert told["usage"]["output_tokens"] == 20


def test_a_tape_counts_and_knows_the_end() -> None:
    tape = SURFACE.tape(keep=False)

    ends = [tape.take(event) for event in SURFACE.replay(ANSWER)]

    assert ends == [False] * (len(ends) - 1) + [True]
    assert tape.finish_reason == "tool_calls"
    texts = ["Let me see", "It is on file", '{"query":"files"}', '{"card":"x","n":[1,{"a":null}]}', "{}"]
    assert tape.chars == sum(map(len, texts))
    assert tape.whole() == b""


def test_a_tape_keeps_only_so_much() -> None:
    tape = SURFACE.tape(keep=True)
    start, *_ = SURFACE.replay(ANSWER)
    tape.take(start)
    for _ in range(11):
        tape.take({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 100_000}})  # fmt: skip

    assert (tape.whole(), tape.chars) == (b"", 1_100_000)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("brand_new", "brand_new"),
        (None, ""),
    ],
)
def test_reasons_in_the_words_of_records(reason: str | None, word: str) -> None:
    assert SURFACE.finish_reason({"stop_reason": reason}) == word


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refuse("invalid_request", "m", "max_tokens"), "invalid_request_error"),
        (Refuse("missing_api_key", "m"), "authentication_error"),
        (Refuse("upstream_rejected", "m", upstream_status=402), "billing_error"),
        (Refuse("policy_blocked", "m"), "permission_error"),
        (Refuse("model_not_found", "m"), "not_found_error"),
        (Refuse("unsupported_media_type", "m"), "invalid_request_error"),
        (Refuse("body_too_large", "m"), "request_too_large"),
        (Refuse("budget_exceeded", "m"), "rate_limit_error"),
        (Refuse("internal_error", "m"), "api_error"),
        (Refuse("draining", "m"), "overloaded_error"),
        (Refuse("upstream_timeout", "m"), "timeout_error"),
        (Refuse("upstream_rejected", "m", upstream_status=529), "overloaded_error"),
    ],
)
def test_errors_have_the_shape_of_the_provider(refusal: Refuse, kind: str) -> None:
    body = SURFACE.error(refusal, "req_1")

    error = {"type": kind, "message": "m", "code": refusal.code, "param": refusal.param}
    assert json.loads(body) == {"type": "error", "error": error, "request_id": "req_1"}
    assert SURFACE.error_event(refusal, "req_1") == b"event: error\ndata: " + body + b"\n\n"


def test_an_event_is_framed_under_its_name() -> None:
    assert (
        SURFACE.frame({"type": "message_stop"}) == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    assert SURFACE.ending == b""

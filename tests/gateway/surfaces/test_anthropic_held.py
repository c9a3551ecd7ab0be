# SPDX-License-Identifier: Apache-2.0
"""Anthropic's streams under policies: the same texts however they were cut, and nothing forbidden in any event."""

import json
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from apps.gateway.surfaces.anthropic import SURFACE
from tests.gateway.surfaces.build import (
    CARD,
    DIGITS,
    MASK,
    SECRET,
    STOP,
    Object,
    cut,
    passed,
    review,
    reviewed,
    says,
    whole_of,
)

START: Object = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 1},
    },
}
END: list[Object] = [
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]  # fmt: skip
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def block(index: int, begun: Object, *deltas: Object) -> list[Object]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[Object]:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces)
    )


def thinking(index: int, signature: str, *pieces: str) -> list[Object]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, begun, *deltas, {"type": "signature_delta", "signature": signature})


def tool(index: int, *pieces: str, **more: Any) -> list[Object]:
    begun = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {}, **more}
    return block(index, begun, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


PLACES = st.lists(st.integers(0, 500), max_size=30)
WORDS = st.lists(st.sampled_from([CARD, SECRET, "banana", " split", "4111", " ", "word ", "é", "\n"]), max_size=8).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(said=WORDS, thought=WORDS, given_input=WORDS, places=PLACES)
def test_any_cut_gives_what_the_whole_gives(
    said: str, thought: str, given_input: str, places: list[int]
) -> None:
    arguments = json.dumps(
        {"note": given_input, DIGITS: [4111111111111111, 1]}, separators=(",", ":"), ensure_ascii=False
    )
    stream = [
        START,
        *thinking(0, "c2ln", *cut(thought, places)),
        *text(1, *cut(said, places)),
        *tool(2, *cut(arguments, places)),
        *END,
    ]

    events = passed(SURFACE, MASK, stream)

    whole = reviewed(SURFACE, MASK, whole_of(SURFACE, stream))
    assert whole_of(SURFACE, events)["content"] == whole["content"]
    # Digits glued to a number make it another one, for a stream as for a whole.
    assert set(says(events, CARD, DIGITS)) <= set(says(whole, CARD, DIGITS))
    assert says(events, SECRET) == []
    for event in events:
        _EVENT.validate_python(event)
    kinds = [(event["type"], event.get("index")) for event in events]
    for index in range(3):
        assert kinds.count(("content_block_start", index)) == kinds.count(("content_block_stop", index)) == 1
        last = max(place for place, kind in enumerate(kinds) if kind[1] == index)
        assert kinds[last] == ("content_block_stop", index)


@settings(max_examples=100, deadline=None)
@given(
    before=st.sampled_from(["", "It is "]), places=PLACES, kind=st.sampled_from(["text", "thinking", "tool"])
)
def test_a_blocked_stream_ends_well_without_a_fragment(before: str, places: list[int], kind: str) -> None:
    pieces = cut(f"{before}{CARD} and more", places)
    made = {"text": text(0, *pieces), "thinking": thinking(0, "c2ln", *pieces), "tool": tool(0, *pieces)}[
        kind
    ]

    events = passed(SURFACE, STOP, [START, *made, *text(1, "never"), *END])

    assert "411" not in json.dumps(events)
    assert says(events, "never", "c2ln") == []
    for event in events:
        _EVENT.validate_python(event)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    end = events[-2]
    assert end["delta"]["stop_reason"] == "refusal"
    assert end["usage"] == {"input_tokens": 7, "output_tokens": 1}
    assert end["smartflow"]["code"] == "policy_blocked"
    assert '"Stop" stopped this' in end["smartflow"]["message"]
    tape = SURFACE.tape(keep=True)
    assert [tape.take(event) for event in events][-1] is True
    assert tape.finish_reason == "content_filter"


CITATION = {"type": "char_location", "cited_text": CARD, "document_index": 0, "document_title": None, "start_char_index": 0, "end_char_index": 1}  # fmt: skip
RESULT = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "title": CARD, "url": "u", "encrypted_content": "e"}]}  # fmt: skip
PLACED: list[list[Object]] = [
    [{**START, "message": {**START["message"], "id": CARD}}],
    [{**START, "note": [CARD]}],
    [START, *block(0, {"type": "text", "text": CARD})],
    [START, *block(0, {"type": "thinking", "thinking": CARD, "signature": ""})],
    [START, *block(0, {"type": "thinking", "thinking": "", "signature": CARD})],
    [START, *thinking(0, CARD, "plain")],
    [START, *block(0, {"type": "redacted_thinking", "data": CARD})],
    [START, *tool(0, id=CARD)],
    [START, *tool(0, name=CARD)],
    [START, *tool(0, input={"a": CARD})],
    [START, *tool(0, input={CARD: 1})],
    [START, *tool(0, input={"a": int(DIGITS)})],
    [START, *block(0, {"type": "text", "text": {"a": CARD}})],
    [START, *block(0, {"type": CARD})],
    [START, *block(0, RESULT)],
    [START, *block(0, {"type": "text", "text": "", "citations": [CITATION]})],
    [START, *block(0, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": CITATION})],
    [START, *block(0, {"type": "new"}, {"type": "new_delta", "content": CARD[:6]}, {"type": "new_delta", "content": CARD[6:]})],
    [START, *block(0, {"type": "new"}, {"type": CARD, "content": "hidden"})],
    [START, *block(0, {"type": "new"}, {"type": "text_delta", "text": "x", "more": {"a": CARD}})],
    [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}, "more": CARD}],
    [START, {"type": "content_block_delta", "index": 0, "delta": CARD}],
    [START, {"type": "content_block_start", "index": 0, "content_block": CARD}],
    [START, {"type": "new_event", "note": CARD}],
    [START, {"type": "ping", "note": CARD}],
    [START, {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": CARD}, "usage": {"output_tokens": 1}}],
    [START, {"type": "message_stop", "note": CARD}],
    [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": CARD}}],
]  # fmt: skip


@pytest.mark.parametrize("stream", PLACED, ids=range(len(PLACED)))
@pytest.mark.parametrize("policies", [MASK, STOP], ids=["mask", "stop"])
def test_no_place_of_an_event_is_overlooked(policies: Any, stream: list[Object]) -> None:
    events = passed(SURFACE, policies, [*stream, *END])

    assert says(events, CARD, DIGITS, "1111") == []
    if policies is STOP:
        assert events[-2]["smartflow"]["code"] == "policy_blocked"
        assert [event["type"] for event in events].count("message_start") == 1


def test_a_stream_without_findings_amounts_to_the_same() -> None:
    stream = [
        START,
        *thinking(0, "c2ln", "Let me", " see 12"),
        {"type": "ping"},
        *text(1, "It is", " on file 4"),
        *tool(2, "", '{"a"', ': "4"}'),
        *block(3, RESULT | {"content": []}),
        *END,
    ]

    events = passed(SURFACE, MASK, stream)

    assert whole_of(SURFACE, events) == whole_of(SURFACE, stream)
    assert {"type": "ping"} in events


def test_rewritten_thinking_loses_its_signature_and_other_thinking_keeps_it() -> None:
    stream = [START, *thinking(0, "c2ln", f"see {CARD}"), *thinking(1, "b3RoZXI=", "see 4111"), *END]

    content = whole_of(SURFACE, passed(SURFACE, MASK, stream))["content"]

    assert content == [
        {"type": "thinking", "thinking": "see [CREDIT_CARD]", "signature": "unsigned"},
        {"type": "thinking", "thinking": "see 4111", "signature": "b3RoZXI="},
    ]


def test_what_a_provider_leaves_open_is_ended() -> None:
    stream = [START, *text(0, "It is 4111")[:-1], *END]

    events = passed(SURFACE, MASK, stream)

    assert [event["type"] for event in events][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert whole_of(SURFACE, events)["content"] == [{"type": "text", "text": "It is 4111"}]


def test_delivered_counts_what_left() -> None:
    held = SURFACE.held(review(MASK))

    for event in [START, *text(0, "It is ", CARD), *END]:
        held.pass_on(event)

    assert held.delivered == len("It is [CREDIT_CARD]")
    assert held.verdict().action.value == "redact"


@pytest.mark.parametrize("index", ["0", -1, 1.5, int(DIGITS)])
def test_a_block_without_a_proper_number_breaks_the_stream(index: Any) -> None:
    held = SURFACE.held(review(MASK))

    with pytest.raises(ValueError, match="number"):
        held.pass_on({"type": "content_block_stop", "index": index})

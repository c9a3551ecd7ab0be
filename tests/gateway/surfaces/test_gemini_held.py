# SPDX-License-Identifier: Apache-2.0
"""Gemini's streams under policies: the same texts however they were cut, and nothing forbidden in any chunk."""

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.gateway.surfaces.gemini import SURFACE
from apps.providers.dialects.signatures import from_anthropic
from tests.gateway.surfaces.build import (  # fmt: skip
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

HEAD = {"modelVersion": "gemini", "responseId": "r1"}
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
PLACES = st.lists(st.integers(0, 500), max_size=30)
WORDS = st.lists(st.sampled_from([CARD, SECRET, "banana", " split", "4111", " ", "word ", "é", "\n"]), max_size=8).map("".join)  # fmt: skip


def chunk(*parts: Object, index: int = 0, **more: Any) -> Object:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": index, **more}
    return {"candidates": [candidate], "usageMetadata": USAGE, **HEAD}


def said(text: str, places: list[int], index: int = 0, **more: Any) -> list[Object]:
    return [chunk({"text": piece, **more}, index=index) for piece in cut(text, places)]


def end(index: int = 0, *parts: Object) -> Object:
    return chunk(*(parts or ({"text": ""},)), index=index, finishReason="STOP")


def texts(events: list[Object], index: int, *, thought: bool = False) -> str:
    return "".join(
        part.get("text", "")
        for event in events
        for candidate in event["candidates"]
        if candidate.get("index", 0) == index
        for part in candidate.get("content", {}).get("parts", ())
        if bool(part.get("thought")) is thought
    )


@settings(max_examples=150, deadline=None)
@given(first=WORDS, thought=WORDS, second=WORDS, places=PLACES)
def test_any_cut_gives_what_the_whole_gives(first: str, thought: str, second: str, places: list[int]) -> None:
    call = {"functionCall": {"name": "pay", "args": {DIGITS: [first]}}}
    streams = [
        [*said(thought, places, thought=True), *said(first, places), chunk(call), end()],
        said(second, places, index=1),
    ]
    mixed = [event for pair in zip(*streams, strict=False) for event in pair]
    stream = [*mixed, *streams[0][len(streams[1]) :], *streams[1][len(streams[0]) :], end(1)]

    events = passed(SURFACE, MASK, stream)

    whole = reviewed(SURFACE, MASK, whole_of(SURFACE, stream))
    for index in range(2):
        for kind in (False, True):
            assert texts(events, index, thought=kind) == texts([whole], index, thought=kind)
    # Digits glued to a number make it another one, for a stream as for a whole.
    assert set(says(events, CARD, DIGITS)) <= set(says(whole, CARD, DIGITS))
    assert says(events, SECRET) == []
    for event in events:
        types.GenerateContentResponse.model_validate(event)
        for candidate in event["candidates"]:
            assert candidate["content"]["parts"]
    ends = [c["index"] for event in events for c in event["candidates"] if "finishReason" in c]
    assert sorted(ends) == [0, 1]


@settings(max_examples=100, deadline=None)
@given(before=st.sampled_from(["", "It is "]), places=PLACES, thought=st.booleans())
def test_a_blocked_stream_ends_well_without_a_fragment(before: str, places: list[int], thought: bool) -> None:
    more = {"thought": True} if thought else {}
    stream = [
        *said("Other", [], index=1),
        end(1),
        *said(f"{before}{CARD} and more", places, **more),
        *said("never", []),
        end(),
    ]

    *events, last = passed(SURFACE, STOP, stream)

    assert "411" not in json.dumps(events)
    assert says(events, "never") == []
    assert [c["index"] for event in events for c in event["candidates"] if "finishReason" in c] == [1]
    (ended,) = last["candidates"]
    assert (ended["index"], ended["finishReason"]) == (0, "SAFETY")
    assert '"Stop" stopped this' in ended["finishMessage"]
    assert last["smartflow"] == {"code": "policy_blocked", "message": ended["finishMessage"]}
    assert (last["usageMetadata"], last["responseId"]) == (USAGE, "r1")
    last.pop("smartflow")
    types.GenerateContentResponse.model_validate(last)
    tape = SURFACE.tape(keep=False)
    assert tape.take(last) is True
    assert tape.finish_reason == "content_filter"


CARRIED = from_anthropic([{"type": "thinking", "thinking": CARD, "signature": "s"}])
PLACED: list[list[Object]] = [
    [chunk({"text": CARD})],
    [chunk({"text": CARD[:5]}), chunk({"text": CARD[5:]})],
    [chunk({"text": CARD[:5]}, {"text": CARD[5:]})],
    [chunk({"text": CARD[:5]}), chunk({"text": "x", "thought": True}), chunk({"text": CARD[5:]})],
    [chunk({"text": "x", "thoughtSignature": CARD})],
    [chunk({"text": "x", "thoughtSignature": CARRIED})],
    [chunk({"text": "x", "thought": CARD})],
    [chunk({"text": "x", "note": {"a": [CARD]}})],
    [chunk({"text": {"a": CARD}})],
    [chunk({"functionCall": {"name": CARD}})],
    [chunk({"functionCall": {"name": "f", "id": CARD, "args": {}}})],
    [chunk({"functionCall": {"name": "f", "args": {"a": [CARD]}}})],
    [chunk({"functionCall": {"name": "f", "args": {CARD: 1}}})],
    [chunk({"functionCall": {"name": "f", "args": {"a": int(DIGITS)}}})],
    [
        chunk({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": CARD[:6], "willContinue": True}]}}),
        chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": CARD[6:]}]}}),
    ],
    [chunk({"executableCode": {"language": "PYTHON", "code": CARD}})],
    [chunk({"inlineData": {"mimeType": "text/plain", "data": CARD}})],
    [chunk({"inlineData": {"mimeType": "image/png", "data": CARD}})],
    [chunk({"text": "x"}, groundingMetadata={"webSearchQueries": [CARD]})],
    [chunk({"text": "x"}, finishReason="STOP", finishMessage=CARD)],
    [chunk({"text": "x"}, logprobsResult={"chosenCandidates": [{"token": CARD}]})],
    [{**chunk({"text": "x"}), "responseId": CARD}] * 2,
    [{"candidates": [{"content": {"parts": [CARD]}}]}],
    [{"candidates": [{"content": CARD}]}],
    [{"candidates": [{"content": {"role": CARD, "parts": []}}]}],
    [{"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": CARD}}],
    [chunk({"text": CARD}, finishReason="STOP")],
]  # fmt: skip


@pytest.mark.parametrize("stream", PLACED, ids=range(len(PLACED)))
@pytest.mark.parametrize("policies", [MASK, STOP], ids=["mask", "stop"])
def test_no_place_of_a_chunk_is_overlooked(policies: Any, stream: list[Object]) -> None:
    events = passed(SURFACE, policies, [*stream, end()])

    assert says(events, CARD, DIGITS, "1111", CARRIED) == []
    if policies is STOP and "logprobsResult" not in json.dumps(stream):
        assert events[-1]["smartflow"]["code"] == "policy_blocked"


def test_a_stream_without_findings_amounts_to_the_same() -> None:
    stream = [
        *said("Let me see 12", [3, 8], thought=True),
        *said("It is on file 4", [2, 5]),
        chunk({"text": " now", "thoughtSignature": "c2ln"}),
        chunk({"functionCall": {"name": "pay", "args": {"a": "4"}}, "thoughtSignature": "c2ln"}),
        chunk({"text": "Bye 4"}),
        end(),
    ]

    events = passed(SURFACE, MASK, stream)

    assert texts(events, 0) == "It is on file 4 nowBye 4"
    assert texts(events, 0, thought=True) == "Let me see 12"
    parts = whole_of(SURFACE, events)["candidates"][0]["content"]["parts"]
    assert {"functionCall": {"name": "pay", "args": {"a": "4"}}, "thoughtSignature": "c2ln"} in parts
    assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == ["c2ln", "c2ln"]


def test_what_is_held_leaves_with_the_end_of_its_candidate() -> None:
    held = SURFACE.held(review(MASK))

    assert held.pass_on(chunk({"text": "4111"})) == []
    (last,) = held.pass_on(end())

    assert last["candidates"][0]["content"]["parts"] == [{"text": "4111"}]
    assert held.delivered == 4


@pytest.mark.parametrize("index", ["x", -1, 1.5, int(DIGITS)])
def test_a_candidate_without_a_proper_number_breaks_the_stream(index: Any) -> None:
    held = SURFACE.held(review(MASK))

    with pytest.raises(ValueError, match="number"):
        held.pass_on(chunk({"text": "x"}, index=index))

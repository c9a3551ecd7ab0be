# SPDX-License-Identifier: Apache-2.0
"""Gemini's answers as Anthropic clients see them: whole, as streams, and sent back in the next request."""

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from apps.providers.dialects.anthropic_usage import partial
from apps.providers.dialects.gemini_usage import read_usage
from apps.providers.pairs.anthropic_gemini import PAIR
from apps.providers.pairs.anthropic_gemini.answer import fold
from apps.providers.pairs.pair import Ask

Body = dict[str, Any]
GOLDEN = Path(__file__).parent.parent / "golden" / "anthropic_gemini"
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
USED = {"promptTokenCount": 20, "candidatesTokenCount": 7, "thoughtsTokenCount": 5, "cachedContentTokenCount": 8,
        "toolUsePromptTokenCount": 2, "totalTokenCount": 34}  # fmt: skip


def ask() -> Ask:
    return Ask(model="public", upstream_model="gemini-3.1-pro", request_id="req-1")


def chunk(*parts: Body, finish: str = "", usage: Body | None = None, **more: Any) -> Body:
    candidate: Body = {"index": 0, "content": {"role": "model", "parts": list(parts)}, **more}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "r1", **({"usageMetadata": usage} if usage else {})}


def streamed(*chunks: Body) -> list[Body]:
    """The events of a stream, each in Anthropic's own form, in an order that its client takes."""
    translation = PAIR.stream(ask())
    events = [event for one in chunks for event in translation.feed(one)] + translation.end()
    for event in events:
        EVENT.validate_python(event)
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds.count("message_start")) == ("message_start", 1)
    assert (kinds[-2:], kinds.count("message_stop")) == (["message_delta", "message_stop"], 1)
    open_block, number = False, -1
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not open_block
            open_block, number = True, number + 1
        assert open_block
        assert event["index"] == number
        open_block = event["type"] != "content_block_stop"
    assert not open_block
    return events


def whole(*parts: Body, finish: str = "STOP", **more: Any) -> Body:
    message = PAIR.answer(chunk(*parts, finish=finish, usage=USED, **more), ask())
    Message.model_validate(message)
    return message


def lines(path: Path) -> list[Body]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.jsonl")))
def test_a_golden_stream_is_told_as_recorded(name: str) -> None:
    translation = PAIR.stream(ask())
    events = lines(GOLDEN / f"{name}.jsonl")
    for line in events:
        assert (translation.end() if line["event"] is None else translation.feed(line["event"])) == line[
            "gives"
        ]
    assert events[-1]["event"] is None
    streamed(*(line["event"] for line in events[:-1]))


def test_golden_streams_are_there() -> None:
    assert len(list(GOLDEN.glob("*.jsonl"))) >= 6


def test_a_whole_answer_says_everything() -> None:
    message = whole(
        {"text": "Hm.", "thought": True},
        {"text": "I look."},
        {"functionCall": {"name": "weather", "args": {"city": "Bern"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "fc/2", "name": "time"}},
    )
    assert message == {
        "id": "msg_r1",
        "type": "message",
        "role": "assistant",
        "model": "public",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
            {"type": "text", "text": "I look."},
            {"type": "thinking", "thinking": "", "signature": "gemini-next:c2ln"},
            {"type": "tool_use", "id": "toolu_req-1_1", "name": "weather", "input": {"city": "Bern"}},
            {"type": "tool_use", "id": "fc_2", "name": "time", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 14, "output_tokens": 12, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("finish", "wanted"),
    [("STOP", "end_turn"), ("MAX_TOKENS", "max_tokens"), ("SAFETY", "refusal"), ("RECITATION", "refusal"),
     ("MALFORMED_FUNCTION_CALL", "refusal"), ("SOMETHING_NEW", "refusal")],
)  # fmt: skip
def test_every_end_has_a_reason(finish: str, wanted: str) -> None:
    message = whole({"text": "Hello"}, finish=finish)
    assert message["stop_reason"] == wanted
    assert ("stop_details" in message) == (wanted == "refusal")
    assert message["content"] == [{"type": "text", "text": "Hello"}]


def test_a_refused_prompt_is_a_refusal_that_says_why() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    message = PAIR.answer(body, ask())
    Message.model_validate(message)
    assert (message["stop_reason"], message["content"]) == ("refusal", [])
    assert message["stop_details"]["explanation"] == "The provider refused the prompt: SAFETY."
    assert message["usage"]["input_tokens"] == 4


def test_sources_become_citations_of_the_text() -> None:
    grounding = {
        "webSearchQueries": ["weather Bern"],
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}],
    }
    message = whole({"text": "Sun."}, groundingMetadata=grounding)
    citation = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "", "encrypted_index": ""}  # fmt: skip
    assert message["content"] == [{"type": "text", "text": "Sun.", "citations": [citation]}]
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": []},
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
        chunk({"inlineData": {"mimeType": "image/png", "data": ""}}, finish="STOP"),
        chunk({"executableCode": {"code": "1"}}, finish="STOP"),
        chunk({"functionCall": {"args": {}}}, finish="STOP"),
        chunk({"functionCall": {"name": "a", "args": []}}, finish="STOP"),
        {"candidates": [{"content": {"parts": "a"}, "finishReason": "STOP"}]},
        {"candidates": ["a"]},
        chunk(finish="STOP", groundingMetadata={"groundingChunks": 4}),
    ],
)
def test_what_is_no_answer_is_a_value_error(body: Body) -> None:
    with pytest.raises(ValueError, match=r"."):
        PAIR.answer(body, ask())


def test_a_stream_that_breaks_off_never_looks_whole() -> None:
    translation = PAIR.stream(ask())
    translation.feed(chunk({"text": "Hel"}))
    with pytest.raises(ValueError, match="without a finish reason"):
        translation.end()


WORDS = st.text(min_size=1, max_size=12)
SIGNATURES = st.none() | st.sampled_from(["c2ln", "b3RoZXI="])
ARGS = st.dictionaries(WORDS, st.integers() | WORDS | st.lists(st.booleans(), max_size=2), max_size=2)


def signed(part: Body, signature: str | None) -> Body:
    return {**part, "thoughtSignature": signature} if signature else part


PARTS = st.lists(
    st.builds(signed, st.builds(lambda w: {"text": w, "thought": True}, WORDS | st.just("")), SIGNATURES)
    | st.builds(signed, st.builds(lambda w: {"text": w}, WORDS | st.just("")), SIGNATURES)
    | st.builds(signed, st.builds(lambda n, a: {"functionCall": {"name": n, "args": a}}, WORDS, ARGS), SIGNATURES),
    max_size=8,
)  # fmt: skip


def texts(parts: list[Body], *, thought: bool) -> str:
    return "".join(p["text"] for p in parts if "text" in p and bool(p.get("thought")) == thought)


def calls(parts: list[Body]) -> list[Any]:
    return [(p["functionCall"]["name"], p["functionCall"]["args"]) for p in parts if "functionCall" in p]


@settings(max_examples=60, deadline=None)
@generated(PARTS, st.data())
def test_nothing_is_lost_however_a_stream_is_cut(parts: list[Body], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(parts)), max_size=4)))
    groups = [parts[a:b] for a, b in zip([0, *cuts], [*cuts, len(parts)], strict=True)]
    events = streamed(*(chunk(*group) for group in groups), chunk(finish="STOP", usage=USED))
    message = fold(events)
    content = message["content"]
    assert "".join(b["text"] for b in content if b["type"] == "text") == texts(parts, thought=False)
    assert "".join(b["thinking"] for b in content if b["type"] == "thinking") == texts(parts, thought=True)
    assert [(b["name"], b["input"]) for b in content if b["type"] == "tool_use"] == calls(parts)
    identities = [block["id"] for block in content if block["type"] == "tool_use"]
    assert len(set(identities)) == len(identities)
    assert message["stop_reason"] == ("tool_use" if identities else "end_turn")
    told, canonical = partial(events[-2]["usage"]), read_usage(USED)
    assert told is not None
    assert told.whole() == canonical
    assert {**whole(*parts), "id": message["id"]} == message


@settings(max_examples=60, deadline=None)
@generated(PARTS)
def test_what_comes_back_is_what_gemini_said(parts: list[Body]) -> None:
    content = whole(*parts)["content"]
    results = [
        {"type": "tool_result", "tool_use_id": b["id"], "content": "ok"} for b in content if b["type"] == "tool_use"
    ]  # fmt: skip
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results or "And?"},
    ]
    body = PAIR.request({"max_tokens": 10, "messages": turns}, ask())
    back = body["contents"][1]["parts"] if len(body["contents"]) == 3 else []
    assert texts(back, thought=False) == texts(parts, thought=False)
    assert calls(back) == calls(parts)
    # Every signature of a call is on the same call again, and only the first may have the stand-in.
    given = [p.get("thoughtSignature") for p in parts if "functionCall" in p]
    found = [p.get("thoughtSignature") for p in back if "functionCall" in p]
    assert found == [given[0] or "skip_thought_signature_validator", *given[1:]] if given else found == []
    if any(p.get("thought") and p["text"] for p in parts[:1]):
        kept = [p["thoughtSignature"] for p in back if "thoughtSignature" in p]
        assert [s for s in kept if s != "skip_thought_signature_validator"] == [
            p["thoughtSignature"] for p in parts if "thoughtSignature" in p
        ]


THOUGHT, TEXT, EMPTY = {"text": "Hm.", "thought": True}, {"text": "Yes."}, {"text": ""}
CALL = {"functionCall": {"id": "fc_1", "name": "f", "args": {"n": 1}}}
OTHER = {"functionCall": {"id": "fc_2", "name": "f", "args": {"n": 2}}}
STAND_IN = "skip_thought_signature_validator"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([signed(THOUGHT, "YQ=="), signed(CALL, "Yg==")], None),
        ([THOUGHT, signed(CALL, "YQ=="), OTHER], None),
        ([THOUGHT, signed(TEXT, "YQ==")], None),
        ([THOUGHT, signed(TEXT, "YQ=="), signed(CALL, "Yg==")], None),
        ([THOUGHT, signed(EMPTY, "YQ==")], None),
        ([signed(CALL, "YQ=="), signed(OTHER, "Yg==")], None),
        ([signed(CALL, "YQ=="), TEXT, signed(OTHER, "Yg==")], None),
        ([THOUGHT, TEXT, signed(EMPTY, "YQ==")], [TEXT, signed(EMPTY, "YQ==")]),
        ([THOUGHT, TEXT, signed(CALL, "YQ==")], [TEXT, signed(CALL, "YQ==")]),
        ([THOUGHT, TEXT, signed({"text": " No."}, "YQ==")], [signed({"text": "Yes. No."}, "YQ==")]),
        ([CALL, OTHER], [signed(CALL, STAND_IN), OTHER]),
        ([signed(TEXT, "YQ=="), signed(CALL, "Yg==")], [TEXT, signed(CALL, "Yg==")]),
    ],
)
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
def test_signatures_come_back_on_their_own_parts(
    said: list[Body], kept: list[Body] | None, as_stream: bool
) -> None:
    message = fold(streamed(*map(chunk, said), chunk(finish="STOP"))) if as_stream else whole(*said)
    results = [
        {"type": "tool_result", "tool_use_id": b["id"], "content": "ok"} for b in message["content"] if b["type"] == "tool_use"
    ]  # fmt: skip
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results or "And?"},
    ]
    back = PAIR.request({"max_tokens": 10, "messages": turns}, ask())["contents"][1]["parts"]
    assert back == (said if kept is None else kept)


def test_each_block_of_thinking_has_one_signature() -> None:
    events = streamed(chunk(signed(THOUGHT, "YQ=="), signed(CALL, "Yg==")), chunk(finish="STOP"))
    told = [e["index"] for e in events if e.get("delta", {}).get("type") == "signature_delta"]
    assert told == [0, 1]


def test_only_the_first_candidate_is_told() -> None:
    second = {"index": 1, "content": {"parts": [{"text": "Not this."}]}, "finishReason": "SAFETY"}
    message = PAIR.answer({"candidates": [*chunk(TEXT, finish="STOP")["candidates"], second]}, ask())
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "Yes."}], "end_turn")

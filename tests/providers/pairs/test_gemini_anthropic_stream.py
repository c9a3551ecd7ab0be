# SPDX-License-Identifier: Apache-2.0
"""Anthropic's answers as Gemini clients see them: whole, as streams, and sent back in the next request."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.genai.chats import _validate_response
from google.genai.types import GenerateContentResponse
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st

from apps.providers.dialects.anthropic_usage import partial
from apps.providers.dialects.gemini_usage import read_usage
from apps.providers.pairs.gemini_anthropic import PAIR
from apps.providers.pairs.pair import Ask

Body = dict[str, Any]
GOLDEN = Path(__file__).parent.parent / "golden" / "gemini_anthropic"
USED = {"input_tokens": 14, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0, "output_tokens": 12,
        "output_tokens_details": {"thinking_tokens": 5}}  # fmt: skip


def ask() -> Ask:
    return Ask(model="public", upstream_model="claude-opus-4-6", request_id="req-1", stream=True)


def message(*content: Body, stop_reason: str = "end_turn", **more: Any) -> Body:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": list(content),
            "stop_reason": stop_reason, "stop_sequence": None, "usage": USED, **more}  # fmt: skip


def whole(*content: Body, **more: Any) -> Body:
    found = PAIR.answer(message(*content, **more), ask())
    GenerateContentResponse.model_validate(found)
    return found


def events_of(content: list[Body], cut: int = 3, stop_reason: str = "end_turn") -> list[Body]:
    """The stream that Anthropic would tell a message in."""
    head = {
        **message(stop_reason="end_turn"),
        "stop_reason": None,
        "usage": {"input_tokens": 14, "output_tokens": 1},
    }
    events: list[Body] = [{"type": "message_start", "message": head}, {"type": "ping"}]
    for index, block in enumerate(content):
        empty, deltas = told(block, cut)
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": delta, "usage": USED}, {"type": "message_stop"}]


def told(block: Body, cut: int) -> tuple[Body, list[Body]]:
    """How a block begins in a stream, and what is told of it afterwards."""

    def pieces(words: str) -> list[str]:
        return [words[at : at + cut] for at in range(0, len(words), cut)]

    if block["type"] == "text":
        return {**block, "text": ""}, [
            {"type": "text_delta", "text": piece} for piece in pieces(block["text"])
        ]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*deltas, signature]
    if block["type"] == "tool_use":
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in pieces(json.dumps(block["input"]))
        ]
        return {**block, "input": {}}, deltas if block["input"] else []
    return block, []


def streamed(events: list[Body]) -> list[Body]:
    """The chunks of a stream; each is one that Google's client keeps in its history."""
    translation = PAIR.stream(ask())
    chunks = [chunk for event in events for chunk in translation.feed(event)] + translation.end()
    for chunk in chunks:
        assert _validate_response(GenerateContentResponse.model_validate(chunk))
        assert (chunk["modelVersion"], chunk["responseId"]) == ("public", "msg_1")
    assert ["finishReason" in chunk["candidates"][0] for chunk in chunks] == [False] * (len(chunks) - 1) + [
        True
    ]
    assert ["usageMetadata" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    return chunks


def parts_of(*responses: Body) -> list[Body]:
    return [part for response in responses for part in response["candidates"][0]["content"]["parts"]]


def lines(path: Path) -> list[Body]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.jsonl")))
def test_a_golden_stream_is_told_as_recorded(name: str) -> None:
    translation = PAIR.stream(ask())
    events = lines(GOLDEN / f"{name}.jsonl")
    for line in events:
        gives = translation.end() if line["event"] is None else translation.feed(line["event"])
        assert gives == line["gives"]
        for chunk in gives:
            GenerateContentResponse.model_validate(chunk)
    assert events[-1]["event"] is None


def test_golden_streams_are_there() -> None:
    assert len(list(GOLDEN.glob("*.jsonl"))) >= 6


def test_a_whole_answer_says_everything() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    found = whole(
        thinking,
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}},
        stop_reason="tool_use",
    )
    signature = found["candidates"][0]["content"]["parts"][1].pop("thoughtSignature")
    assert found == {
        "candidates": [
            {
                "index": 0,
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"text": "I look."},
                        {"functionCall": {"id": "toolu_1", "name": "weather", "args": {"city": "Bern"}}},
                    ],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 22, "cachedContentTokenCount": 8, "candidatesTokenCount": 7, "thoughtsTokenCount": 5,
            "totalTokenCount": 34,
        },
        "modelVersion": "public",
        "responseId": "msg_1",
    }  # fmt: skip
    # Google's client reads the signature as bytes and sends them back in base64.
    part = GenerateContentResponse.model_validate(whole(thinking, {"type": "text", "text": "a"})).candidates
    assert part is not None
    assert part[0].content is not None
    assert part[0].content.parts is not None
    back = part[0].content.parts[1].model_dump(mode="json", by_alias=True, exclude_none=True)
    assert back["thoughtSignature"] == signature


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [("end_turn", "STOP"), ("stop_sequence", "STOP"), ("tool_use", "STOP"), ("max_tokens", "MAX_TOKENS"),
     ("model_context_window_exceeded", "MAX_TOKENS"), ("refusal", "SAFETY"), ("pause_turn", "OTHER"), ("new", "OTHER")],
)  # fmt: skip
def test_every_end_has_a_reason(reason: str, wanted: str) -> None:
    assert whole({"type": "text", "text": "a"}, stop_reason=reason)["candidates"][0]["finishReason"] == wanted
    translation = PAIR.stream(ask())
    chunks = [chunk for event in events_of([], stop_reason=reason) for chunk in translation.feed(event)]
    assert [chunk["candidates"][0]["finishReason"] for chunk in chunks] == [wanted]
    assert translation.end() == []


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It asks for malware."}
    candidate = whole(stop_reason="refusal", stop_details=details)["candidates"][0]
    assert candidate == {"index": 0, "finishReason": "SAFETY", "finishMessage": "It asks for malware."}


def test_an_answer_without_words_is_still_an_answer() -> None:
    assert parts_of(whole()) == [{"text": ""}]


def test_sources_stand_behind_their_text() -> None:
    citation = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "b", "encrypted_index": "c"}  # fmt: skip
    found = whole(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "sun"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "Süd. "},
        {"type": "text", "text": "Sun.", "citations": [citation, citation]},
    )
    assert found["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 6, "endIndex": 10, "text": "Sun."}, "groundingChunkIndices": [0]}
        ],
        "webSearchQueries": ["sun"],
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": 5},
        {"content": ["a"]},
        {"content": [{"type": "text"}]},
        {"content": [{"type": "tool_use", "name": "f"}]},
        {"content": [{"type": "bash_code_execution_tool_result"}]},
        {"content": [{"type": "new_kind_of_block"}]},
        {"content": [{"type": ["text"]}]},
        {"content": [], "stop_reason": ["end_turn"]},
    ],
)
def test_what_is_no_message_is_a_value_error(body: Body) -> None:
    with pytest.raises(ValueError, match=r"."):
        PAIR.answer(body, ask())


def test_a_stream_that_breaks_off_never_looks_whole() -> None:
    translation = PAIR.stream(ask())
    for event in events_of([{"type": "text", "text": "Hello"}])[:-2]:
        translation.feed(event)
    with pytest.raises(ValueError, match="without a stop reason"):
        translation.end()


WORDS = st.text(min_size=1, max_size=12)
ARGS = st.dictionaries(WORDS, st.integers() | WORDS | st.lists(st.booleans(), max_size=2), max_size=2)
BLOCKS = st.lists(
    st.builds(lambda w: {"type": "text", "text": w}, WORDS)
    | st.builds(lambda w, s: {"type": "thinking", "thinking": w, "signature": s}, WORDS | st.just(""), WORDS)
    | st.builds(lambda d: {"type": "redacted_thinking", "data": d}, WORDS)
    | st.builds(lambda n, a: {"type": "tool_use", "id": "", "name": n, "input": a}, WORDS, ARGS),
    max_size=7,
).map(lambda blocks: [{**b, "id": f"toolu_{n}"} if "id" in b else b for n, b in enumerate(blocks)])


def texts(parts: list[Body], *, thought: bool) -> str:
    return "".join(p["text"] for p in parts if "text" in p and bool(p.get("thought")) == thought)


@settings(max_examples=60, deadline=None)
@generated(BLOCKS, st.integers(1, 5))
def test_nothing_is_lost_however_a_stream_is_cut(content: list[Body], cut: int) -> None:
    chunks, answer = streamed(events_of(content, cut)), whole(*content)
    for parts in (parts_of(*chunks), parts_of(answer)):
        assert texts(parts, thought=False) == "".join(b["text"] for b in content if b["type"] == "text")
        assert texts(parts, thought=True) == "".join(
            b["thinking"] for b in content if b["type"] == "thinking"
        )
        assert [p["functionCall"] for p in parts if "functionCall" in p] == [
            {"id": b["id"], "name": b["name"], "args": b["input"]} for b in content if b["type"] == "tool_use"
        ]
    assert chunks[-1]["usageMetadata"] == answer["usageMetadata"]
    told_by_anthropic = partial(USED)
    assert told_by_anthropic is not None
    assert read_usage(answer["usageMetadata"]) == told_by_anthropic.whole()


@settings(max_examples=60, deadline=None)
@generated(BLOCKS, st.booleans(), st.booleans())
def test_what_comes_back_is_what_anthropic_said(content: list[Body], as_stream: bool, thoughts: bool) -> None:
    responses = streamed(events_of(content)) if as_stream else [whole(*content)]
    said = [response["candidates"][0]["content"] for response in responses]
    if not thoughts:
        # A client may leave thoughts out, as Google says; what is signed it has to keep.
        said = [
            {**c, "parts": [p for p in c["parts"] if not p.get("thought") or "thoughtSignature" in p]}
            for c in said
        ]
    calls = [block for block in content if block["type"] == "tool_use"]
    results = [
        {"functionResponse": {"id": b["id"], "name": b["name"], "response": {"output": "ok"}}} for b in calls
    ]
    history = [
        {"role": "user", "parts": [{"text": "Hello"}]},
        *said,
        {"role": "user", "parts": [*results, {"text": "?"}]},
    ]
    messages = PAIR.request({"contents": history}, ask())["messages"]
    back = messages[1]["content"] if len(messages) == 3 else []
    assert back == merged(content)


def merged(content: list[Body]) -> list[Body]:
    """A message with texts that follow one another as one."""
    found: list[Body] = []
    for block in content:
        if found and block["type"] == found[-1]["type"] == "text":
            found[-1] = {"type": "text", "text": found[-1]["text"] + block["text"]}
        else:
            found.append(block)
    return found

# SPDX-License-Identifier: Apache-2.0
"""Text completions in front of chats: what is told of a chat, whole and in chunks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError
from apps.providers.pairs.table import COMPLETIONS

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HEAD = {"id": "c1", "created": 1, "model": "m"}
PAIR = COMPLETIONS["openai-completions", "openai"]


def ask(**more: Any) -> Ask:
    """What the translations have to know."""
    return Ask(model="m", upstream_model="up", request_id="req_1", **more)


def whole(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """A chunk of one."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "Hello"}, "Hello"),
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": None}, ""),
        ({"content": "Hello", "reasoning_content": "Hm."}, "Hello"),
    ],
)
def test_a_whole_answer(message: dict[str, Any], text: str) -> None:
    found = PAIR.answer(whole(message, "length"), ask())

    assert Completion.model_validate(found, strict=True).choices[0].text == text
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"] == USAGE


@given(st.lists(st.text(min_size=1), max_size=5))
def test_a_stream_amounts_to_the_text(pieces: list[str]) -> None:
    stream = PAIR.stream(ask())
    came = [chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "Hm."})]
    came += [chunk({"content": piece}) for piece in pieces]
    came += [chunk({}, "stop"), {**HEAD, "choices": [], "usage": USAGE}]

    found = [event for one in came for event in stream.feed(one)] + stream.end()

    assert [choice["text"] for event in found for choice in event["choices"]] == [*pieces, ""]
    assert [choice["finish_reason"] for event in found[:-1] for choice in event["choices"]][-1] == "stop"
    assert found[-1]["usage"] == USAGE
    assert found[-1]["choices"] == []
    assert len(found) == len(pieces) + 2


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_refusals_name_fields_of_the_client(provider: str) -> None:
    pair = COMPLETIONS["openai-completions", provider]

    for name, value in (("echo", True), ("suffix", "x"), ("best_of", 2), ("logprobs", 0)):
        with pytest.raises(InexpressibleError) as fault:
            pair.request({"prompt": "Hi", name: value}, ask())
        assert fault.value.param == name
        dropping = ask(drop=True)
        pair.request({"prompt": "Hi", name: value}, dropping)
        assert dropping.dropped == [name]
    with pytest.raises(InvalidError) as wrong:
        pair.request({"prompt": "Hi", "messages": []}, ask())
    assert wrong.value.param == "messages"


def test_what_says_nothing_is_no_reason_to_refuse() -> None:
    fields = {"prompt": ["Hi"], "echo": False, "suffix": "", "best_of": 1, "logprobs": None, "max_tokens": 5}

    assert PAIR.request(fields, ask()) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 5,
    }
    assert PAIR.request({"prompt": "Hi"}, ask())["max_completion_tokens"] == 16


def test_the_length_is_named_as_the_client_named_it() -> None:
    pair = COMPLETIONS["openai-completions", "anthropic"]

    with pytest.raises((InvalidError, InexpressibleError)) as fault:
        pair.request({"prompt": "Hi", "max_tokens": "many"}, ask())

    assert "max_tokens" in str(fault.value)
    assert "max_completion_tokens" not in str(fault.value)

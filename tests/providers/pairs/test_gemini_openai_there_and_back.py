# SPDX-License-Identifier: Apache-2.0
"""Conversations and settings that go from OpenAI's form to Gemini's and back are what they were."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.pairs import gemini_openai, openai_gemini
from tests.providers.pairs.gemini_openai_wire import PNG, Object, to_gemini, to_openai

texts = st.text(min_size=1, max_size=8)
arguments = st.dictionaries(
    texts, st.integers(-9, 9) | texts | st.none() | st.lists(texts, max_size=2), max_size=2
)
images = st.builds(
    lambda kind: {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{PNG}"}},
    st.sampled_from(["png", "jpeg"]),
)
documents = st.just(
    {"type": "file", "file": {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}}
)
parts = st.builds(lambda text: {"type": "text", "text": text}, texts) | images | documents
users = st.builds(
    lambda content: [{"role": "user", "content": content}],
    texts | st.lists(parts, min_size=2, max_size=4),
)


@st.composite
def turns(draw: st.DrawFn) -> list[Object]:
    """What an assistant said, the calls it made and their results, in any order."""
    text = draw(st.none() | texts)
    drawn = draw(st.lists(st.tuples(st.sampled_from(["f", "g"]), arguments, texts | arguments), max_size=3))
    if not drawn:
        return [{"role": "assistant", "content": text or "x"}]
    calls, results = [], []
    for name, args, result in drawn:
        call_id = f"call_{draw(st.uuids()).hex}"
        told = json.dumps(args, ensure_ascii=False, separators=(",", ":"))
        calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": told}})
        said = (
            result
            if isinstance(result, str)
            else json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        )
        results.append({"role": "tool", "tool_call_id": call_id, "content": said})
    order = draw(st.permutations(results))
    return [{"role": "assistant", "content": text, "tool_calls": calls}, *order]


conversations = st.builds(
    lambda system, first, rest, last: [
        *([{"role": "system", "content": system}] if system else []),
        *first,
        *[message for user, turn in rest for message in (*turn, *user)],
        *last,
    ],
    st.none() | texts,
    users,
    st.lists(st.tuples(users, turns()), max_size=3),
    turns(),
)


def is_output(text: Any) -> bool:
    """A result that says no more than a text: it comes back as that text."""
    return isinstance(text, str) and text[:1] == "{" and list(json.loads(text)) == ["output"]


@settings(max_examples=50, deadline=None)
@given(conversations)
def test_conversations(messages: list[Object]) -> None:
    if any(message["role"] == "tool" and is_output(message["content"]) for message in messages):
        return
    body = to_gemini(openai_gemini.PAIR, {"messages": messages})
    assert to_openai(gemini_openai.PAIR, body)["messages"] == messages


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"b": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
}
tool = {"type": "function", "function": {"name": "f", "description": "Does.", "parameters": SCHEMA}}
settings_of_a_request = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "n": st.integers(1, 8),
        "seed": st.integers(-(2**31), 2**31 - 1),
        "stop": st.lists(texts, min_size=1, max_size=4),
        "max_completion_tokens": st.integers(1, 9999),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "reasoning_effort": st.sampled_from(["minimal", "low", "medium", "high"]),
        "service_tier": st.sampled_from(["default", "flex", "priority"]),
        "tools": st.just([tool]),
        "response_format": st.sampled_from(
            [
                {"type": "json_object"},
                {
                    "type": "json_schema",
                    "json_schema": {"name": "response", "schema": SCHEMA, "strict": True},
                },
            ]
        ),
    },
)


@settings(max_examples=50, deadline=None)
@given(
    settings_of_a_request,
    st.sampled_from(["none", "required", {"type": "function", "function": {"name": "f"}}]),
)
def test_settings(fields: Object, choice: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    if "tools" in asked:
        asked["tool_choice"] = choice
    body = to_gemini(openai_gemini.PAIR, asked)
    assert to_openai(gemini_openai.PAIR, body) == {**asked, "model": "gpt-6-sol"}

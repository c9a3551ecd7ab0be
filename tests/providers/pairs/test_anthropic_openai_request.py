# SPDX-License-Identifier: Apache-2.0
"""Anthropic clients in front of OpenAI: what is asked."""

import copy
import hashlib
from typing import Any

import pytest

from apps.providers.pairs.anthropic_openai import PAIR
from tests.providers.pairs.anthropic_openai_wire import ask, openai_takes

NEW, PLAIN = "gpt-5.2", "gpt-4o"
EPHEMERAL = {"type": "ephemeral"}
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
BASE: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": HI}
WEATHER = {
    "name": "weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "cache_control": EPHEMERAL,
    "eager_input_streaming": True,
}
TIME = {"type": "custom", "name": "time", "input_schema": {"type": "object"}, "strict": True}
PNG = {"type": "base64", "media_type": "image/png", "data": "UE5H"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "UERG"}


def sent(fields: dict[str, Any], model: str = NEW, **more: Any) -> dict[str, Any]:
    """The body for a request, which the provider takes; the request itself stays as it was."""
    before = copy.deepcopy(fields)
    body = PAIR.request(fields, ask(model, **more))
    assert fields == before
    openai_takes(body)
    return body


def contents(blocks: list[Any], model: str = NEW) -> Any:
    """The content of the one message that a user's blocks become."""
    return sent({**BASE, "messages": [{"role": "user", "content": blocks}]}, model)["messages"][0]["content"]


def test_plain_request() -> None:
    fields = {
        **BASE,
        "system": "Be brief",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
        "stream": True,
        "cache_control": EPHEMERAL,
        "diagnostics": {"previous_message_id": "msg_1"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "speed": "standard",
        "container": None,
    }
    assert sent(fields) == {
        "model": NEW,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u1",
        "service_tier": "default",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
    }


def test_a_long_user_id_is_told_by_its_digest() -> None:
    user = "user_" + 100 * "a"
    assert sent({**BASE, "metadata": {"user_id": user}})["user"] == hashlib.sha256(user.encode()).hexdigest()


def test_system_blocks_and_system_messages_keep_their_places() -> None:
    system = [{"type": "text", "text": "One"}, {"type": "text", "text": "Two", "cache_control": EPHEMERAL}]
    messages = [*HI, {"role": "system", "content": "Three"}]
    assert sent({**BASE, "system": system, "messages": messages})["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Three"},
    ]


def test_tools_and_parallel_results() -> None:
    messages = [
        *HI,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "signed", "signature": "sig"},
                {"type": "redacted_thinking", "data": "zz"},
                {"type": "text", "text": "I "},
                {"type": "text", "text": "look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Zürich"}},
                {"type": "tool_use", "id": "t2", "name": "time", "input": {}, "cache_control": EPHEMERAL},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "21 degrees"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "content": [{"type": "text", "text": "no clock"}],
                    "is_error": True,
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    body = sent({**BASE, "messages": messages, "tools": [WEATHER, TIME]})
    calls = [
        {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Zürich"}'}},
        {"id": "t2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]
    assert body["messages"][1:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "t1", "content": "21 degrees"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no clock"},
        {"role": "user", "content": "And?"},
    ]
    weather = {"name": "weather", "description": "Weather of a city", "parameters": WEATHER["input_schema"]}
    assert body["tools"] == [
        {"type": "function", "function": weather},
        {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}, "strict": True}},
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ""),
        ([], ""),
        ("", ""),
        ("Error: none", "Error: none"),
    ],
)
def test_results_of_hardly_anything(content: Any, told: str) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": content, "is_error": told != ""}
    messages = [*HI, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = sent({**BASE, "messages": messages})
    assert body["messages"][1]["content"] is None
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "t1", "content": told}


def test_images_of_a_result_follow_and_say_whose_they_are() -> None:
    use = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}} for n in (1, 2)]
    results = [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [{"type": "text", "text": "Shot"}, {"type": "image", "source": PNG}],
        },
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "content": [{"type": "document", "source": PDF, "title": "a.pdf"}],
        },
    ]
    messages = [*HI, {"role": "assistant", "content": use}, {"role": "user", "content": results}]
    found = sent({**BASE, "messages": messages})["messages"]
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "user"]
    assert found[2]["content"][0] == {"type": "text", "text": "Shot"}
    assert found[4]["content"] == [
        {"type": "text", "text": "Result of the tool call t1:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,UE5H"}},
        {"type": "text", "text": "Result of the tool call t2:"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,UERG"}},
    ]


def test_images_and_documents() -> None:
    text_source = {"type": "text", "media_type": "text/plain", "data": "Body"}
    inner = {"type": "content", "content": [{"type": "text", "text": "In"}, {"type": "text", "text": "side"}]}
    blocks = [
        {"type": "image", "source": {"type": "url", "url": "https://images.example/a.png"}},
        {"type": "image", "source": PNG, "transformations": {"oversized_image": "downsize"}},
        {"type": "document", "source": PDF, "citations": {"enabled": False}},
        {"type": "document", "source": text_source, "title": "Title", "context": "Context"},
        {"type": "document", "source": inner},
        {
            "type": "search_result",
            "title": "T",
            "source": "https://a.example",
            "content": [{"type": "text", "text": "Found"}],
        },
        {"type": "text", "text": ""},
    ]
    assert contents(blocks) == [
        {"type": "image_url", "image_url": {"url": "https://images.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,UE5H"}},
        {
            "type": "file",
            "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,UERG"},
        },
        {"type": "text", "text": "Title\n\nContext\n\nBody"},
        {"type": "text", "text": "In\n\nside"},
        {"type": "text", "text": "T\n\nhttps://a.example\n\nFound"},
    ]


def test_cache_marks_go_to_models_that_take_them() -> None:
    blocks = [
        {"type": "text", "text": "a", "cache_control": EPHEMERAL},
        {"type": "image", "source": PNG, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    marks = [part.get("prompt_cache_breakpoint") for part in contents(blocks, "gpt-5.6-mini")]
    assert marks == [{"mode": "explicit"}, {"mode": "explicit", "ttl": "12h"}]
    assert all("prompt_cache_breakpoint" not in part for part in contents(blocks, "gpt-5.5"))


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "time"},
            {"tool_choice": {"type": "function", "function": {"name": "time"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], found: dict[str, Any]) -> None:
    body = sent({**BASE, "tools": [WEATHER, TIME], "tool_choice": choice})
    assert {name: body[name] for name in ("tool_choice", "parallel_tool_calls") if name in body} == found


def test_a_deferred_tool_is_declared_once_it_is_loaded() -> None:
    search = {"name": "search", "input_schema": {"type": "object"}}
    tools = [search, {**WEATHER, "defer_loading": True}, {**TIME, "defer_loading": True}]
    assert declared(sent({**BASE, "tools": tools})) == ["search"]
    reference = [{"type": "tool_reference", "tool_name": "weather"}]
    turns = [
        *BASE["messages"],
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "search", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": reference}]},
    ]

    body = sent({**BASE, "messages": turns, "tools": tools})

    assert declared(body) == ["search", "weather"]
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "weather"}
    assert "tools" not in sent({**BASE, "tools": tools[1:]})


def declared(body: dict[str, Any]) -> list[str]:
    """The names of the tools that the provider sees."""
    return [tool["function"]["name"] for tool in body["tools"]]


def test_examples_of_input_are_told_in_the_description() -> None:
    tool = {
        **WEATHER,
        "input_examples": [{"city": "Paris"}],
        "defer_loading": False,
        "allowed_callers": ["direct"],
    }
    function = sent({**BASE, "tools": [tool]})["tools"][0]["function"]
    assert function["description"] == 'Weather of a city\n\nExamples of input:\n{"city":"Paris"}'


@pytest.mark.parametrize(
    ("model", "fields", "effort"),
    [
        (NEW, {}, None),
        (NEW, {"thinking": {"type": "adaptive"}}, None),
        (NEW, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh"),
        (NEW, {"output_config": {"effort": "low"}}, "low"),
        (NEW, {"thinking": {"type": "disabled"}}, "none"),
        (NEW, {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ("gpt-5", {"thinking": {"type": "disabled"}}, "minimal"),
        (PLAIN, {"thinking": {"type": "disabled"}}, None),
        (PLAIN, {"thinking": {"type": "adaptive"}}, None),
        ("llama-4", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        (NEW, {"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        (NEW, {"thinking": {"type": "enabled", "budget_tokens": 16000}}, "high"),
        (NEW, {"thinking": {"type": "enabled", "budget_tokens": 200_000}}, "max"),
    ],
)
def test_thinking_becomes_an_effort(model: str, fields: dict[str, Any], effort: str | None) -> None:
    assert sent({**BASE, **fields}, model).get("reasoning_effort") == effort


def test_unsigned_reasoning_goes_back_to_the_server_it_came_from() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "unsigned"}
    messages = [*HI, {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes"}]}, *HI]
    body = PAIR.request({**BASE, "messages": messages}, ask("deepseek-reasoner"))
    assert body["messages"][1] == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_schema(place: str) -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    for schema, strict in (
        (closed, True),
        ({**closed, "required": []}, False),
        ({**closed, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "object"}]}}}, False),
        ({**closed, "$defs": {"x": closed}}, True),
    ):
        form = {"type": "json_schema", "schema": schema}
        fields = {place: {"format": form} if place == "output_config" else form}
        assert sent({**BASE, **fields})["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": strict},
        }


def test_sampling_of_models_that_reason() -> None:
    assert "temperature" not in sent({**BASE, "temperature": 1}, "o3")
    assert sent({**BASE, "temperature": 0.2, "thinking": {"type": "disabled"}}, NEW)["temperature"] == 0.2
    assert sent({**BASE, "temperature": 0.2}, "gpt-5-chat-latest")["temperature"] == 0.2

# SPDX-License-Identifier: Apache-2.0
"""OpenAI clients in front of Anthropic: what is asked."""

import base64
import copy
from typing import Any

import pytest

from apps.providers.pairs.openai_anthropic import PAIR
from tests.providers.pairs.anthropic_openai_wire import anthropic_takes, ask

NEW, OLD, NEWEST, MUTE = (
    "claude-opus-4-6",
    "claude-sonnet-4-5-20250929",
    "claude-opus-5",
    "claude-3-5-haiku-20241022",
)
HI = [{"role": "user", "content": "Hi"}]
PNG = base64.b64encode(b"\x89PNG").decode()
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "time"}}
CALLED: list[dict[str, Any]] = [
    *HI,
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {
                "id": "functions.weather:0",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
            },
            {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "functions.weather:0", "content": "21 degrees"},
    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}]},
    {"role": "user", "content": "And?"},
]


def sent(fields: dict[str, Any], model: str = NEW, **more: Any) -> dict[str, Any]:
    """The body for a request, which the provider takes; the request itself stays as it was."""
    before = copy.deepcopy(fields)
    body = PAIR.request(fields, ask(model, **more))
    assert fields == before
    anthropic_takes(body)
    return body


def test_plain_request_with_the_cap_of_the_model() -> None:
    fields = {
        "model": "m",
        "messages": HI,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": "END",
        "user": "u1",
        "n": 1,
    }
    assert sent(fields, output_cap=777) == {
        "model": NEW,
        "max_tokens": 777,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
    }


def test_limits_of_the_answer_and_streaming() -> None:
    assert sent({"messages": HI, "max_tokens": 9})["max_tokens"] == 9
    assert sent({"messages": HI, "max_tokens": 9, "max_completion_tokens": 10})["max_tokens"] == 10
    body = sent({"messages": HI, "stream": True, "stream_options": {"include_usage": True}})
    assert body["stream"] is True
    assert "stream_options" not in body


def test_instructions_become_the_system_prompt_in_their_order() -> None:
    messages = [
        {"role": "system", "content": "One"},
        *HI,
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Two", "cache_control": {"type": "ephemeral"}}],
        },
    ]
    body = sent({"messages": messages})
    assert body["system"] == [
        {"type": "text", "text": "One"},
        {"type": "text", "text": "Two", "cache_control": {"type": "ephemeral"}},
    ]
    assert len(body["messages"]) == 1


def test_parallel_calls_and_their_results() -> None:
    body = sent({"messages": CALLED, "tools": [WEATHER, TIME]})
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {
                    "type": "tool_use",
                    "id": "functions_weather_0",
                    "name": "weather",
                    "input": {"city": "Paris"},
                },
                {"type": "tool_use", "id": "call_2", "name": "time", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_weather_0", "content": "21 degrees"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [{"type": "text", "text": "noon"}],
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert body["tools"] == [
        {
            "name": "weather",
            "description": "Weather of a city",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
        {"name": "time", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_earlier_calls_without_tools_stay_sayable() -> None:
    body = sent({"messages": CALLED})
    assert [tool["name"] for tool in body["tools"]] == ["weather", "time"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "time"}}},
            {"type": "tool", "name": "time"},
        ),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_tool_choice(fields: dict[str, Any], choice: Any) -> None:
    assert sent({"messages": HI, "tools": [WEATHER, TIME], **fields}).get("tool_choice") == choice


def test_allowed_tools_are_the_only_ones_sent() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "time"}}]}
    body = sent(
        {
            "messages": HI,
            "tools": [WEATHER, TIME],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
        }
    )
    assert [tool["name"] for tool in body["tools"]] == ["time"]
    assert body["tool_choice"] == {"type": "any"}


def test_images_and_files() -> None:
    text_file = "data:text/plain;charset=utf-8;base64," + base64.b64encode("Grüße".encode()).decode()
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://images.example/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": text_file}},
        {"type": "file", "file": {"file_data": PNG}},
    ]
    content = sent({"messages": [{"role": "user", "content": parts}]})["messages"][0]["content"]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PNG}
    assert content == [
        {"type": "text", "text": "Look"},
        {"type": "image", "source": {"type": "url", "url": "https://images.example/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            "title": "a.txt",
        },
        {"type": "document", "source": pdf},
    ]


def test_cache_marks() -> None:
    part = {"type": "text", "text": "Long", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
    fields = {
        "messages": [
            {"role": "user", "content": [part]},
            {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [{**WEATHER, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "prompt_cache_options": {"mode": "implicit"},
        "prompt_cache_key": "k",
    }
    body = sent(fields)
    assert [block.get("cache_control") for block in body["messages"][0]["content"]] == [
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral"},
    ]
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in sent({"messages": HI, "prompt_cache_options": {"mode": "explicit"}})


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "config"),
    [
        (NEW, "none", {"type": "disabled"}, None),
        (NEW, "minimal", {"type": "adaptive"}, {"effort": "low"}),
        (NEW, "max", {"type": "adaptive"}, {"effort": "max"}),
        ("my-claude", "high", {"type": "adaptive"}, {"effort": "high"}),
        (OLD, "low", {"type": "enabled", "budget_tokens": 2048}, None),
        (OLD, "high", {"type": "enabled", "budget_tokens": 5000}, None),
        (MUTE, "none", None, None),
    ],
)
def test_effort(model: str, effort: str, thinking: Any, config: Any) -> None:
    body = sent({"messages": HI, "reasoning_effort": effort, "max_tokens": 10_000}, model)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config


def test_thinking_in_the_form_of_anthropic() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1500}
    assert (
        sent({"messages": HI, "thinking": thinking, "reasoning_effort": "low"}, OLD)["thinking"] == thinking
    )


def test_signed_thinking_goes_back_and_unsigned_does_not() -> None:
    assistant = {
        **CALLED[1],
        "reasoning_content": "Hm",
        "thinking_blocks": [
            {"index": 0, "type": "thinking", "thinking": "Hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "zzz"},
            {"type": "thinking", "thinking": "foreign", "signature": "unsigned"},
        ],
    }
    fields = {
        "messages": [CALLED[0], assistant, *CALLED[2:]],
        "tools": [WEATHER, TIME],
        "reasoning_effort": "low",
    }
    body = sent(fields, OLD)
    assert body["messages"][1]["content"][:3] == [
        {"type": "thinking", "thinking": "Hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "zzz"},
        {"type": "text", "text": "I look."},
    ]
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    # Without the signed thinking of the calls such a model cannot think about their results.
    assert "thinking" not in sent({**fields, "messages": CALLED}, OLD)
    assert sent({**fields, "messages": CALLED}, NEW)["thinking"] == {"type": "adaptive"}


def test_schema_is_native_and_closed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "Count"},
            "s": {"$ref": "#/$defs/S"},
        },
        "$defs": {
            "S": {
                "oneOf": [
                    {"type": "string", "format": "uuid"},
                    {"type": "array", "items": {"type": "object"}, "minItems": 2},
                ]
            }
        },
        "required": ["n"],
    }
    form = {
        "type": "json_schema",
        "json_schema": {"name": "x", "description": "The answer", "schema": schema},
    }
    found = sent({"messages": HI, "response_format": form, "reasoning_effort": "high"})["output_config"]
    assert found["effort"] == "high"
    items = {"type": "object", "additionalProperties": False}
    assert found["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "description": "The answer",
            "properties": {
                "n": {"type": "integer", "description": "Count\n\n{minimum: 1}"},
                "s": {"$ref": "#/$defs/S"},
            },
            "$defs": {
                "S": {
                    "anyOf": [
                        {"type": "string", "format": "uuid"},
                        {"type": "array", "items": items, "description": "{minItems: 2}"},
                    ]
                }
            },
            "required": ["n"],
            "additionalProperties": False,
        },
    }


def test_json_mode_is_a_call_whose_input_is_the_answer() -> None:
    body = sent({"messages": HI, "response_format": {"type": "json_object"}})
    name = body["tools"][0]["name"]
    assert body["tool_choice"] == {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    called = {"type": "tool_use", "id": "t", "name": name, "input": {"a": [1]}}
    choice = PAIR.answer({"content": [called], "stop_reason": "tool_use"}, ask(NEW))["choices"][0]
    assert choice["message"]["content"] == '{"a":[1]}'
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_json_mode_after_calls_of_tools() -> None:
    body = sent({"messages": CALLED, "response_format": {"type": "json_object"}})
    assert [tool["name"] for tool in body["tools"]][:2] == ["weather", "time"]
    assert body["tool_choice"]["name"] == body["tools"][2]["name"]


def test_web_search_and_tier() -> None:
    options = {"user_location": {"type": "approximate", "approximate": {"city": "Paris", "country": "FR"}}}
    body = sent({"messages": HI, "web_search_options": options, "service_tier": "default"})
    place = {"type": "approximate", "city": "Paris", "country": "FR"}
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search", "user_location": place}]
    assert body["service_tier"] == "standard_only"


def test_an_answer_that_is_begun() -> None:
    begun = [*HI, {"role": "assistant", "content": "The answer is \n"}]
    assert sent({"messages": begun}, OLD)["messages"][-1]["content"] == [
        {"type": "text", "text": "The answer is"}
    ]

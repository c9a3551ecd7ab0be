# SPDX-License-Identifier: Apache-2.0
"""OpenAI clients in front of Anthropic: what is refused, by its path in the client's request."""

import base64
from typing import Any

import pytest

from apps.providers.pairs.openai_anthropic import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.anthropic_openai_wire import anthropic_takes, ask

NEW, OLD, NEWEST, MUTE = (
    "claude-opus-4-6",
    "claude-sonnet-4-5-20250929",
    "claude-opus-5",
    "claude-3-5-haiku-20241022",
)
HI = [{"role": "user", "content": "Hi"}]
PNG = base64.b64encode(b"PNG").decode()
WEATHER = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"seed": 7}, "seed"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"verbosity": "low"}, "verbosity"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"temperature": 1.2}, "temperature"),
        ({"stop": ["END", "\n"]}, "stop[1]"),
        ({"web_search_options": {"search_context_size": "high"}}, "web_search_options.search_context_size"),
        ({"prompt_cache_options": {"mode": "implicit", "ttl": "12h"}}, "prompt_cache_options.ttl"),
        ({"reasoning_effort": "low", "temperature": 0.2}, "temperature"),
        ({"reasoning_effort": "low", "top_p": 0.5}, "top_p"),
        ({"reasoning_effort": "low", "top_k": 5}, "top_k"),
        ({"reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}, "tools": [WEATHER]}, "response_format"),
        ({"response_format": {"type": "json_object"}, "reasoning_effort": "low"}, "response_format"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f", "mood": 1}}]}, "tools[0].function.mood"),
        ({"tools": [WEATHER], "tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
        ({"fancy": 1}, "fancy"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}, *HI]}, "messages[0].name"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, *HI]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, *HI]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}
                        ],
                    },
                    *HI,
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "file", "file": {"file_data": f"data:video/mp4;base64,{PNG}"}}],
                    },
                    *HI,
                ]
            },
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [*HI, {"role": "assistant", "content": "I"}]}, "messages[1]"),
        (
            {"messages": [*HI, {"role": "assistant", "content": "I", "audio": {"id": "a"}}, *HI]},
            "messages[1].audio",
        ),
        (
            {"messages": [*HI, {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}, *HI]},
            "messages[1].tool_calls[0]",
        ),
        ({"messages": [*HI, {"role": "function", "name": "f", "content": "1"}]}, "messages[1]"),
    ],
)
def test_what_cannot_be_said_is_refused_or_dropped_by_name(fields: dict[str, Any], param: str) -> None:
    whole_fields = {"messages": HI, **fields}
    with pytest.raises(InexpressibleError) as told:
        PAIR.request(whole_fields, ask(NEW))
    assert told.value.param == param
    dropping = ask(NEW, drop=True)
    anthropic_takes(PAIR.request(whole_fields, dropping))
    assert dropping.dropped == [param]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (NEWEST, {"temperature": 0.5}, "temperature"),
        (NEWEST, {"top_p": 0.5}, "top_p"),
        (NEWEST, {"top_k": 5}, "top_k"),
        (MUTE, {"reasoning_effort": "low"}, "reasoning_effort"),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1024}, "reasoning_effort"),
    ],
)
def test_what_a_model_does_not_take(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InexpressibleError) as told:
        PAIR.request({"messages": HI, **fields}, ask(model))
    assert told.value.param == param
    assert "temperature" not in PAIR.request({"messages": HI, "temperature": 1}, ask(NEWEST))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "Hi"}, "messages"),
        ({}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]}, "messages[0].tool_call_id"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///a"}}]}
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "[1"}}],
                    }
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": HI, "max_tokens": 0}, "max_tokens"),
        ({"messages": HI, "max_completion_tokens": "5"}, "max_completion_tokens"),
        ({"messages": HI, "temperature": 3}, "temperature"),
        ({"messages": HI, "temperature": "hot"}, "temperature"),
        ({"messages": HI, "stop": 5}, "stop"),
        ({"messages": HI, "tools": {}}, "tools"),
        ({"messages": HI, "tool_choice": "required"}, "tool_choice"),
        ({"messages": HI, "tools": [{"type": "function"}]}, "tools[0].function"),
        ({"messages": HI, "tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        (
            {
                "messages": HI,
                "tools": [WEATHER],
                "tool_choice": {"type": "function", "function": {"name": "x"}},
            },
            "tool_choice.function.name",
        ),
        ({"messages": HI, "reasoning_effort": "huge"}, "reasoning_effort"),
        ({"messages": HI, "response_format": {"type": "xml"}}, "response_format.type"),
        ({"messages": HI, "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_what_is_wrong_is_told_by_its_own_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidError) as told:
        PAIR.request(fields, ask(NEW))
    assert told.value.param == param


def test_a_system_prompt_alone_is_no_conversation() -> None:
    with pytest.raises(InexpressibleError) as told:
        PAIR.request({"messages": [{"role": "system", "content": "x"}]}, ask(NEW, drop=True))
    assert told.value.param == "messages"

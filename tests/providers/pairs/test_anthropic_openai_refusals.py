# SPDX-License-Identifier: Apache-2.0
"""Anthropic clients in front of OpenAI: what is refused, by its path in the client's request."""

from typing import Any

import pytest

from apps.providers.pairs.anthropic_openai import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.anthropic_openai_wire import ask, openai_takes

NEW, PLAIN = "gpt-5.2", "gpt-4o"
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
BASE: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": HI}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
FILE = {"type": "file", "file_id": "file_1"}
TEXT = {"type": "text", "media_type": "text/plain", "data": "x"}


def says(*blocks: Any, role: str = "user") -> dict[str, Any]:
    """Messages with blocks, then a question."""
    return {"messages": [{"role": role, "content": list(blocks)}, *HI]}


def result(**fields: Any) -> dict[str, Any]:
    """Messages with a call and its result."""
    given = {"type": "tool_result", "tool_use_id": "t1", **fields}
    return {"messages": [{"role": "assistant", "content": [USE]}, {"role": "user", "content": [given]}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"top_k": 5}, "top_k"),
        ({"speed": "fast"}, "speed"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"user_profile_id": "u"}, "user_profile_id"),
        ({"workspace_id": "w"}, "workspace_id"),
        ({"fancy": 1}, "fancy"),
        ({"stop_sequences": list("abcde")}, "stop_sequences"),
        (
            {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
            "context_management.edits.0",
        ),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"mood": 1}}, "output_config.mood"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}, TOOL]}, "tools.0"),
        ({"tools": [{**TOOL, "allowed_callers": ["code_execution_20260521"]}]}, "tools.0.allowed_callers"),
        ({"tools": [{**TOOL, "mood": 1}]}, "tools.0.mood"),
        (says({"type": "image", "source": FILE}), "messages.0.content.0.source"),
        (says({"type": "document", "source": FILE}), "messages.0.content.0.source"),
        (
            says({"type": "document", "source": {"type": "url", "url": "https://a.example"}}),
            "messages.0.content.0.source",
        ),
        (
            says(
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [{"type": "image", "source": {"type": "url", "url": "u"}}],
                    },
                }
            ),
            "messages.0.content.0.source",
        ),
        (
            says({"type": "document", "source": TEXT, "citations": {"enabled": True}}),
            "messages.0.content.0.citations",
        ),
        (
            says(
                {
                    "type": "search_result",
                    "title": "t",
                    "source": "s",
                    "content": "c",
                    "citations": {"enabled": True},
                }
            ),
            "messages.0.content.0.citations",
        ),
        (
            says(
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "x"},
                    "context": "c",
                }
            ),
            "messages.0.content.0.context",
        ),
        (
            says(
                {
                    "type": "image",
                    "source": {"type": "url", "url": "u"},
                    "transformations": {"oversized_image": "error"},
                }
            ),
            "messages.0.content.0.transformations",
        ),
        (says({"type": "text", "text": "a", "mood": 1}), "messages.0.content.0.mood"),
        (says({"type": "container_upload", "file_id": "f"}), "messages.0.content.0"),
        (
            says({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, role="assistant"),
            "messages.0.content.0",
        ),
        (
            result(toolset_name="browser"),
            "messages.1.content.0.toolset_name",
        ),
        (
            result(content=[{"type": "tool_reference", "tool_name": "f", "kind": "x"}]),
            "messages.1.content.0.content.0.kind",
        ),
        ({"messages": [*HI, {"role": "assistant", "content": "The"}]}, "messages.1"),
    ],
)
def test_what_cannot_be_said_is_refused_or_dropped_by_name(fields: dict[str, Any], param: str) -> None:
    whole = {**BASE, **fields}
    with pytest.raises(InexpressibleError) as told:
        PAIR.request(whole, ask(NEW))
    assert told.value.param == param
    dropping = ask(NEW, drop=True)
    openai_takes(PAIR.request(whole, dropping))
    assert dropping.dropped == [param]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (PLAIN, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking"),
        (PLAIN, {"output_config": {"effort": "low"}}, "output_config.effort"),
        ("o3", {"temperature": 0.5}, "temperature"),
        (NEW, {"top_p": 0.5, "output_config": {"effort": "low"}}, "top_p"),
    ],
)
def test_what_a_model_does_not_take(model: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InexpressibleError) as told:
        PAIR.request({**BASE, **fields}, ask(model))
    assert told.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": ["Hi"]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        (says({"type": "text"}), "messages.0.content.0.text"),
        (says({"type": "image", "source": {"type": "telepathy"}}), "messages.0.content.0.source.type"),
        (says({**USE, "input": "x"}, role="assistant"), "messages.0.content.0.input"),
        (says({"type": "tool_result", "tool_use_id": "t9"}), "messages.0.content.0.tool_use_id"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"system": 5}, "system"),
        ({"temperature": 1.5}, "temperature"),
        ({"top_p": "x"}, "top_p"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"service_tier": "fast"}, "service_tier"),
        ({"metadata": 5}, "metadata"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "maybe"}}, "tool_choice.type"),
    ],
)
def test_what_is_wrong_is_told_by_its_own_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidError) as told:
        PAIR.request({**BASE, **fields}, ask(NEW))
    assert told.value.param == param


def test_a_cache_cannot_only_be_warmed() -> None:
    with pytest.raises(InexpressibleError) as told:
        PAIR.request({**BASE, "max_tokens": 0}, ask(NEW, drop=True))
    assert told.value.param == "max_tokens"

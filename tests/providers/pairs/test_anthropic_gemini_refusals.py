# SPDX-License-Identifier: Apache-2.0
"""What stops a request of an Anthropic client before it reaches Gemini, and which field it is told."""

import pytest

from apps.providers.pairs.anthropic_gemini import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.anthropic_gemini_wire import NEW, PNG, Body, admitted, ask, given, message, tool

FILE = {"type": "file", "file_id": "file_1"}
CANNOT: list[tuple[Body, str]] = [
    ({"container": "c"}, "container"),
    ({"mcp_servers": [{}]}, "mcp_servers"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "context_management.edits.0"),
    ({"anything_new": 1}, "anything_new"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"speed": "fast"}, "speed"),
    ({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}, "stop_sequences"),
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"tools": [tool()], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
     "tool_choice.disable_parallel_tool_use"),
    ({"tools": [tool(input_examples=[{"city": "Bern"}])]}, "tools.0.input_examples"),
    ({"tools": [tool(allowed_callers=["code_execution_20250825"])]}, "tools.0.allowed_callers"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]}, "tools.0.max_uses"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}, tool()]}, "tools"),
    (message({"type": "text", "text": "a", "new": 1}), "messages.0.content.0.new"),
    (message({"type": "image", "source": FILE}), "messages.0.content.0.source.file_id"),
    (message({"type": "image", "source": PNG, "transformations": {"oversized_image": "error"}}),
     "messages.0.content.0.transformations.oversized_image"),
    (message({"type": "document", "source": FILE}), "messages.0.content.0.source.file_id"),
    (message({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"},
              "citations": {"enabled": True}}), "messages.0.content.0.citations.enabled"),
    (message({"type": "container_upload", "file_id": "f"}), "messages.0.content.0.type"),
    (message({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, role="assistant"),
     "messages.0.content.0.type"),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages.1"),
    (message({"type": "compaction", "content": "So far."}, role="assistant"), "messages.0.content.0.type"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), CANNOT)
def test_what_gemini_cannot_be_told_is_named_or_dropped_on_request(fields: Body, param: str) -> None:
    with pytest.raises(InexpressibleError) as caught:
        PAIR.request(given(**fields), ask())
    assert caught.value.param == param
    dropping = ask(drop=True)
    kept = [{"role": "user", "content": "Before"}, *fields.get("messages", [])]
    body = PAIR.request(given(**{**fields, "messages": kept}), dropping)
    assert dropping.dropped == [param.replace("messages.0", "messages.1") if "messages.0" in param
                                else param.replace("messages.1", "messages.2")]  # fmt: skip
    admitted(body, NEW)


INVALID: list[tuple[Body, str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages"),
    ({"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": ["a"]}]}, "messages.0.content.0"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_k": -1}, "top_k"),
    ({"stop_sequences": "END"}, "stop_sequences"),
    ({"system": 7}, "system"),
    ({"system": [{"type": "image"}]}, "system.0.type"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"name": "a"}]}, "tools.0.input_schema"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ({"tools": [tool()], "tool_choice": {"type": ["auto"]}}, "tool_choice.type"),
    ({"thinking": {"type": "enabled", "budget_tokens": 600}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "much"}}, "thinking.type"),
    ({"thinking": {"type": "adaptive", "display": "all"}}, "thinking.display"),
    ({"output_config": {"effort": "none"}}, "output_config.effort"),
    ({"output_config": {"effort": ["low"]}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type"),
    ({"output_config": []}, "output_config"),
    ({"service_tier": "best"}, "service_tier"),
    (message({"type": "tool_result", "tool_use_id": "x", "content": "a"}), "messages.0.content.0.tool_use_id"),
    (message({"type": "tool_result", "tool_use_id": "x"}, role="assistant"), "messages.0.content.0.type"),
    (message({"type": "tool_use", "id": "x", "name": "y", "input": {}}), "messages.0.content.0.type"),
    (message({"type": "tool_use", "id": "x", "name": "y", "input": "z"}, role="assistant"), "messages.0.content.0.input"),
    (message({"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": ""}}),
     "messages.0.content.0.source.media_type"),
    (message({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}), "messages.0.content.0.source.url"),
    (message({"type": "thinking", "thinking": "a"}, role="assistant"), "messages.0.content.0.signature"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), INVALID)
def test_what_is_wrong_in_anthropics_own_terms_is_named(fields: Body, param: str) -> None:
    with pytest.raises(InvalidError) as caught:
        PAIR.request(given(**fields), ask())
    assert caught.value.param == param

# SPDX-License-Identifier: Apache-2.0
"""Bodies that each provider turns down: a good request, and mutations of it with the field that is wrong."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

Body = dict[str, Any]
Change = Callable[[Body], Any]

_TOOL_SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}}
OPENAI: Body = {
    "model": "gpt-4.1",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "9 degrees"},
    ],
    "tools": [{"type": "function", "function": {"name": "look_up", "parameters": _TOOL_SCHEMA}}],
    "temperature": 0.5,
}
ANTHROPIC: Body = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 4000,
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "9 degrees"}]},
    ],
    "tools": [{"name": "look_up", "input_schema": _TOOL_SCHEMA}],
}
GEMINI: Body = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look_up", "args": {}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "look_up", "response": {"output": "9 degrees"}}}],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look_up", "parametersJsonSchema": _TOOL_SCHEMA}]}],
    "generationConfig": {"maxOutputTokens": 100},
}


def changed(body: Body, change: Change) -> Body:
    """A copy of a body after a change."""
    made = deepcopy(body)
    change(made)
    return made


def put(*path: Any) -> Change:
    """Set what is at a path: the last item is the value."""

    def change(body: Body) -> None:
        place: Any = body
        for part in path[:-2]:
            place = place[part]
        place[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Change:
    """Remove what is at a path."""

    def change(body: Body) -> None:
        place: Any = body
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]

    return change


# What is changed, and words that the provider's error has.
OPENAI_WRONG: dict[str, tuple[Change, str]] = {
    "an unknown field": (put("top_k", 5), "Unknown parameter: 'top_k'."),
    "an unknown field deep down": (
        put("messages", 1, "content", 0, "cache_control", {"type": "ephemeral"}),
        "Unknown parameter: 'messages[1].content[0].cache_control'.",
    ),
    "no messages": (drop("messages"), "Missing required parameter: 'messages'."),
    "empty messages": (put("messages", []), "empty array"),
    "a text for a number": (put("temperature", "warm"), "Invalid type for 'temperature'"),
    "too hot": (put("temperature", 2.5), "above maximum"),
    "an unknown role": (put("messages", 1, "role", "model"), "Invalid value: 'model'"),
    "a result without a call": (drop("messages", 2), "must be a response to a preceeding message"),
    "a call without a result": (drop("messages", 3), "did not have response messages: call_1"),
    "a result for another call": (put("messages", 3, "tool_call_id", "call_2"), "messages with role 'tool'"),
    "reasoning with max_tokens": (
        lambda body: body.update(model="gpt-5.2", max_tokens=5, temperature=1),
        "Use 'max_completion_tokens' instead.",
    ),
    "reasoning with a temperature": (put("model", "gpt-5.2"), "does not support 0.5 with this model"),
    "both limits": (lambda body: body.update(max_tokens=5, max_completion_tokens=5), "at the same time"),
    "usage of no stream": (put("stream_options", {"include_usage": True}), "only allowed when 'stream'"),
    "a choice without tools": (
        lambda body: (body.pop("tools"), body.update(tool_choice="auto")),
        "'tool_choice' is only allowed when 'tools' are specified",
    ),
    "an open strict schema": (
        put(
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": _TOOL_SCHEMA}},
        ),
        "'additionalProperties' is required",
    ),
    "too many stops": (put("stop", ["a", "b", "c", "d", "e"]), "array too long"),
    "arguments as an object": (
        put("messages", 2, "tool_calls", 0, "function", "arguments", {}),
        "Invalid type for 'messages[2].tool_calls[0].function.arguments'",
    ),
}
ANTHROPIC_WRONG: dict[str, tuple[Change, str]] = {
    "no max_tokens": (drop("max_tokens"), "max_tokens: Field required"),
    "an unknown field": (put("n", 2), "n: Extra inputs are not permitted"),
    "an unknown field deep down": (
        put("messages", 1, "content", 0, "index", 0),
        "messages.1.content.0.index: Extra inputs are not permitted",
    ),
    "a temperature": (put("temperature", 1.0), "temperature: Extra inputs are not permitted"),
    "a text for a number": (put("max_tokens", "many"), "max_tokens: Input should be a valid integer"),
    "an unknown role": (put("messages", 0, "role", "tool"), "messages.0.role: Input should be"),
    "an empty text": (put("messages", 0, "content", ""), "text content blocks must be non-empty"),
    "a result without a call": (drop("messages", 1), "unexpected `tool_use_id` found"),
    "a call without a result": (drop("messages", 2), "without `tool_result` blocks immediately after: t1"),
    "a result behind a text": (
        lambda body: body["messages"][2]["content"].insert(0, {"type": "text", "text": "Here"}),
        "without `tool_result` blocks immediately after",
    ),
    "an id with a dot": (
        lambda body: (
            put("messages", 1, "content", 0, "id", "t.1")(body),
            put("messages", 2, "content", 0, "tool_use_id", "t.1")(body),
        ),
        "String should match pattern",
    ),
    "too small a budget": (
        put("thinking", {"type": "enabled", "budget_tokens": 100}),
        "greater than or equal to 1024",
    ),
    "a budget above the limit": (
        put("thinking", {"type": "enabled", "budget_tokens": 5000}),
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    "thinking with a forced tool": (
        lambda body: body.update(thinking={"type": "adaptive"}, tool_choice={"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "a forged signature": (
        lambda body: body["messages"][1]["content"].insert(
            0, {"type": "thinking", "thinking": "Hm", "signature": "Zm9yZ2Vk"}
        ),
        "Invalid `signature` in `thinking` block",
    ),
    "a prefill": (
        lambda body: body["messages"].append({"role": "assistant", "content": "The"}),
        "does not support assistant message prefill",
    ),
    "an open schema": (
        put("output_config", {"format": {"type": "json_schema", "schema": _TOOL_SCHEMA}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    "a tool without a type": (put("tools", 0, "input_schema", {}), "input_schema.type: Field required"),
    "two tools of a name": (lambda body: body["tools"].append(body["tools"][0]), "Tool names must be unique"),
    "a broken image": (
        put(
            "messages",
            0,
            "content",
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "*"}}],
        ),
        "invalid base64 data",
    ),
    "an unknown image type": (
        put(
            "messages",
            0,
            "content",
            [{"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "AAAA"}}],
        ),
        "media_type: Input should be",
    ),
}
GEMINI_WRONG: dict[str, tuple[Change, str]] = {
    "an unknown field": (put("max_tokens", 5), 'Unknown name "max_tokens": Cannot find field.'),
    "an unknown field deep down": (
        put("contents", 0, "parts", 0, "type", "text"),
        "Unknown name \"type\" at 'contents[0].parts[0]'",
    ),
    "a field of Vertex": (put("tools", 0, "enterpriseWebSearch", {}), 'Unknown name "enterpriseWebSearch"'),
    "no contents": (drop("contents"), "contents is not specified"),
    "a text for a number": (
        put("generationConfig", "maxOutputTokens", "many"),
        "generation_config.max_output_tokens",
    ),
    "an unknown role": (put("contents", 0, "role", "assistant"), "Please use a valid role: user, model."),
    "an empty part": (put("contents", 0, "parts", 0, {}), "required oneof field 'data'"),
    "no parts": (put("contents", 0, "parts", []), "contents.parts must not be empty"),
    "two things in a part": (
        put("contents", 0, "parts", 0, "inlineData", {"mimeType": "image/png", "data": ""}),
        "is already set",
    ),
    "a response without a call": (drop("contents", 1), "comes immediately after a function call turn"),
    "a call without a response": (
        put("contents", 2, "parts", [{"text": "Go on"}]),
        "equal to the number of function call parts",
    ),
    "a response without a name": (
        drop("contents", 2, "parts", 0, "functionResponse", "name"),
        "function_response.name: Name cannot be empty.",
    ),
    "a response that is a text": (
        put("contents", 2, "parts", 0, "functionResponse", "response", "9 degrees"),
        "function_response.response",
    ),
    "a forged signature": (
        put("contents", 1, "parts", 0, "thoughtSignature", "Zm9yZ2Vk"),
        "Thought signature is not valid.",
    ),
    "a schema without its type": (
        put("generationConfig", "responseJsonSchema", _TOOL_SCHEMA),
        "Response schema is not supported with response mime type",
    ),
    "names without a mode": (
        put("toolConfig", {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["look_up"]}}),
        "only when function calling mode is ANY",
    ),
    "a level for an older model": (
        put("generationConfig", "thinkingConfig", {"thinkingLevel": "HIGH"}),
        "Thinking level is not supported for this model.",
    ),
    "too many candidates": (put("generationConfig", "candidateCount", 9), "must be in the range [1, 8]"),
    "a broken image": (
        put("contents", 0, "parts", [{"inlineData": {"mimeType": "image/png", "data": "*"}}]),
        "Base64 decoding failed",
    ),
    "too many stops": (put("generationConfig", "stopSequences", list("abcdef")), "stop_sequences"),
}

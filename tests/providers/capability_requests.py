# SPDX-License-Identifier: Apache-2.0
"""For each client dialect, the smallest request that asks for a feature of the capability table."""

from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjEKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IA=="
SCHEMA = {
    "type": "object",
    "properties": {"town": {"type": "string"}},
    "required": ["town"],
    "additionalProperties": False,
}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"town":"Bern"}'}}
_FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
_A_TOOL = {"name": "look_up", "description": "Looks up.", "input_schema": SCHEMA}
_G_TOOL = {"functionDeclarations": [{"name": "look_up", "description": "Looks up.", "parameters": SCHEMA}]}


def _openai(*parts: Any, **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "Hello"}, *parts] if parts else "Hello"
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def _anthropic(*parts: Any, **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "Hello"}, *parts] if parts else "Hello"
    fixed = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": content}]}
    return fixed | fields


def _gemini(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hello"}, *parts]}], **fields}


def _config(**fields: Any) -> dict[str, Any]:
    return _gemini(generationConfig=fields)


_OPENAI: dict[str, dict[str, Any]] = {
    "text": _openai(),
    "system prompt": _openai()
    | {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]},
    "output limit": _openai(max_completion_tokens=100),
    "stop sequences": _openai(stop=["END"]),
    "temperature": _openai(temperature=0.5),
    "top p": _openai(top_p=0.9),
    "seed": _openai(seed=7),
    "n": _openai(n=2),
    "logprobs": _openai(logprobs=True),
    "token biases": _openai(logit_bias={"50256": -100}),
    "penalties": _openai(presence_penalty=0.5),
    "tools": _openai(tools=[_FUNCTION]),
    "tool choice": _openai(
        tools=[_FUNCTION], tool_choice={"type": "function", "function": {"name": "look_up"}}
    ),
    "one tool at a time": _openai(tools=[_FUNCTION], parallel_tool_calls=False),
    "tool results": _openai(tools=[_FUNCTION])
    | {
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain"},
        ]
    },
    "vision": _openai({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
    "documents": _openai(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    ),
    "audio input": _openai({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}),
    "JSON object": _openai(response_format={"type": "json_object"}),
    "JSON schema": _openai(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "town", "schema": SCHEMA, "strict": True},
        }
    ),
    "thinking": _openai(reasoning_effort="high", max_completion_tokens=32_000),
    "audio output": _openai(modalities=["text", "audio"]),
    "web search": _openai(web_search_options={}),
}
_ANTHROPIC: dict[str, dict[str, Any]] = {
    "text": _anthropic(),
    "system prompt": _anthropic(system="Be brief."),
    "output limit": _anthropic(),
    "stop sequences": _anthropic(stop_sequences=["END"]),
    "temperature": _anthropic(temperature=0.5),
    "top p": _anthropic(top_p=0.9),
    "top k": _anthropic(top_k=40),
    "tools": _anthropic(tools=[_A_TOOL]),
    "tool choice": _anthropic(tools=[_A_TOOL], tool_choice={"type": "tool", "name": "look_up"}),
    "one tool at a time": _anthropic(
        tools=[_A_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}
    ),
    "tool results": _anthropic(tools=[_A_TOOL])
    | {
        "messages": [
            {"role": "user", "content": "Hello"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "look_up", "input": {"town": "Bern"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Rain"}],
            },
        ]
    },
    "vision": _anthropic(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    ),
    "documents": _anthropic(
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    ),
    "JSON schema": _anthropic(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    "thinking": _anthropic(max_tokens=32_000, thinking={"type": "enabled", "budget_tokens": 8000}),
    "cache marks": _anthropic(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    ),
    "web search": _anthropic(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    "MCP servers": _anthropic(mcp_servers=[{"type": "url", "url": "https://mcp.example", "name": "x"}]),
}
_GEMINI: dict[str, dict[str, Any]] = {
    "text": _gemini(),
    "system prompt": _gemini(systemInstruction={"parts": [{"text": "Be brief."}]}),
    "output limit": _config(maxOutputTokens=100),
    "stop sequences": _config(stopSequences=["END"]),
    "temperature": _config(temperature=0.5),
    "top p": _config(topP=0.9),
    "top k": _config(topK=40),
    "seed": _config(seed=7),
    "n": _config(candidateCount=2),
    "logprobs": _config(responseLogprobs=True),
    "penalties": _config(presencePenalty=0.5),
    "tools": _gemini(tools=[_G_TOOL]),
    "tool choice": _gemini(
        tools=[_G_TOOL],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look_up"]}},
    ),
    "tool results": _gemini(tools=[_G_TOOL])
    | {
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "look_up", "args": {"town": "Bern"}}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "look_up", "response": {"result": "Rain"}}}],
            },
        ]
    },
    "vision": _gemini({"inlineData": {"mimeType": "image/png", "data": PNG}}),
    "documents": _gemini({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
    "audio input": _gemini({"inlineData": {"mimeType": "audio/wav", "data": WAV}}),
    "JSON object": _config(responseMimeType="application/json"),
    "JSON schema": _config(responseMimeType="application/json", responseJsonSchema=SCHEMA),
    "thinking": _config(maxOutputTokens=32_000, thinkingConfig={"thinkingBudget": 8000}),
    "audio output": _config(responseModalities=["AUDIO"]),
    "web search": _gemini(tools=[{"googleSearch": {}}]),
    "safety settings": _gemini(
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"}]
    ),
    "cached content": _gemini(cachedContent="cachedContents/abc"),
}
REQUESTS = {"openai": _OPENAI, "anthropic": _ANTHROPIC, "gemini": _GEMINI}

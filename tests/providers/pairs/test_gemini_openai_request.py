# SPDX-License-Identifier: Apache-2.0
"""Requests of Gemini clients as OpenAI gets them: each is held against OpenAI's pinned schema and rules."""

import base64
import json
from typing import Any

import pytest

from apps.providers.pairs.gemini_openai import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.gemini_openai_wire import PNG, Object, ask, to_openai

HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]
WEATHER = {
    "type": "OBJECT",
    "properties": {
        "days": {"type": "INTEGER", "nullable": True, "minimum": 1},
        "town": {"type": "STRING", "description": "Its name", "enum": ["Bern", "Basel"], "format": "enum"},
        "when": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": True},
        "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "maxItems": "3"},
    },
    "propertyOrdering": ["town", "days", "when", "tags"],
    "required": ["town"],
}
WEATHER_JSON = {
    "type": "object",
    "properties": {
        "town": {"type": "string", "description": "Its name", "enum": ["Bern", "Basel"]},
        "days": {"type": ["integer", "null"], "minimum": 1},
        "when": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
    "required": ["town"],
}


def sent(stream: bool = False, **fields: Any) -> Object:
    body = to_openai(PAIR, {"contents": HELLO, **fields}, stream=stream)
    assert body.pop("model") == "gpt-6-sol"
    return body


def configured(**config: Any) -> Object:
    body = sent(generationConfig=config)
    assert body.pop("messages") == [{"role": "user", "content": "Hello"}]
    return body


def messages(*contents: Object, **more: Any) -> list[Object]:
    found: list[Object] = sent(contents=list(contents), **more)["messages"]
    return found


def user(*parts: Object) -> Object:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Object) -> Object:
    return {"role": "model", "parts": list(parts)}


def declared(name: str = "weather", **more: Any) -> list[Object]:
    return [{"functionDeclarations": [{"name": name, "parameters": WEATHER, **more}]}]


def choice(**config: Any) -> Object:
    return {"functionCallingConfig": config}


def test_every_number_has_its_place() -> None:
    assert configured(
        temperature=0.5, topP=0.9, candidateCount=2, maxOutputTokens="99", seed=-7, stopSequences=["END"],
        presencePenalty=0.5, frequencyPenalty=-0.5, responseLogprobs=True, logprobs=3.0,
        responseModalities=["TEXT"], audioTimestamp=False,
    ) == {
        "temperature": 0.5, "top_p": 0.9, "n": 2, "max_completion_tokens": 99, "seed": -7, "stop": ["END"],
        "presence_penalty": 0.5, "frequency_penalty": -0.5, "logprobs": True, "top_logprobs": 3,
    }  # fmt: skip


def test_both_spellings_are_one() -> None:
    fields = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [user({"inline_data": {"mime_type": "image/png", "data": PNG}})],
        "generation_config": {"max_output_tokens": 9, "response_mime_type": "application/json"},
        "tool_config": {"function_calling_config": {"mode": "NONE"}},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }
    camel = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [user({"inlineData": {"mimeType": "image/png", "data": PNG}})],
        "generationConfig": {"maxOutputTokens": 9, "responseMimeType": "application/json"},
        "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
    }
    assert to_openai(PAIR, fields) == to_openai(PAIR, camel)
    with pytest.raises(InvalidError) as fault:
        PAIR.request({"contents": HELLO, "generationConfig": {"topP": 1, "top_p": 1}}, ask())
    assert fault.value.param == "generationConfig.topP"


def test_names_of_the_client_keep_their_spelling() -> None:
    call = {"name": "find_town", "args": {"town_name": "Bern"}}
    response = {"name": "find_town", "response": {"land_code": 1}}
    found = messages(
        user({"text": "Hi"}), model({"functionCall": call}), user({"functionResponse": response})
    )
    assert json.loads(found[1]["tool_calls"][0]["function"]["arguments"]) == {"town_name": "Bern"}
    assert json.loads(found[2]["content"]) == {"land_code": 1}


def test_the_instruction_comes_first() -> None:
    two = {"role": "system", "parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert sent(systemInstruction=two)["messages"][0] == {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
    }
    assert sent(systemInstruction="Be brief.")["messages"][0] == {"role": "system", "content": "Be brief."}


def test_streams_are_asked_for() -> None:
    assert sent(stream=True)["stream"] is True
    assert "stream" not in sent()


def test_calls_without_ids_find_their_responses_in_order() -> None:
    found = messages(
        user({"text": "Hi"}),
        model(
            {"text": "Let me", "thought": True},
            {"text": "I "},
            {"text": "look."},
            {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "g"}},
            {"functionCall": {"name": "f", "args": {"x": 2}}},
        ),
        user(
            {"functionResponse": {"name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"name": "f", "response": {"error": "no town"}}},
            {"functionResponse": {"name": "g", "response": {"output": "two", "more": 1}}},
            {"text": "Go on."},
        ),
    )
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        {"id": "call_3", "type": "function", "function": {"name": "f", "arguments": '{"x":2}'}},
    ]
    assert found[1:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_3", "content": '{"error":"no town"}'},
        {"role": "tool", "tool_call_id": "call_2", "content": '{"output":"two","more":1}'},
        {"role": "user", "content": "Go on."},
    ]


def test_calls_with_ids_find_their_responses_by_them() -> None:
    found = messages(
        user({"text": "Hi"}),
        model({"functionCall": {"id": "a", "name": "f"}}, {"functionCall": {"id": "b", "name": "f"}}),
        {
            "role": "function",
            "parts": [
                {"functionResponse": {"id": "b", "name": "f", "response": {"output": "2"}}},
                {"functionResponse": {"id": "a", "name": "f", "response": {"output": "1"}}},
            ],
        },
    )
    assert [(m["tool_call_id"], m["content"]) for m in found[2:]] == [("b", "2"), ("a", "1")]


def test_a_stream_that_was_kept_chunk_by_chunk_is_one_message() -> None:
    found = messages(
        user({"text": "Hi"}),
        model({"text": "I "}),
        model({"text": "look."}),
        model({"functionCall": {"name": "f"}}),
        model({"functionCall": {"name": "g"}}),
        model({"text": ""}),
        user({"functionResponse": {"name": "g", "response": {"output": "2"}}}),
        user({"functionResponse": {"name": "f", "response": {"output": "1"}}}),
    )
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["content"] == "I look."
    assert [call["function"]["name"] for call in found[1]["tool_calls"]] == ["f", "g"]
    assert [message["tool_call_id"] for message in found[2:]] == ["call_2", "call_1"]


def test_signatures_go_to_gemini_models_behind_openais_dialect() -> None:
    contents = [
        user({"text": "Hi"}),
        model({"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}),
        user({"functionResponse": {"name": "f", "response": {}}}),
    ]
    body = PAIR.request({"contents": contents}, ask("google/gemini-3-flash"))
    extra = body["messages"][1]["tool_calls"][0]["extra_content"]
    assert extra == {"google": {"thought_signature": "c2ln"}}


def test_pictures_sounds_and_documents() -> None:
    text = base64.b64encode("Grüezi".encode()).decode()
    found = messages(
        user(
            {"text": "What is it?"},
            {
                "inlineData": {"mimeType": "image/png", "data": "-_8"},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"},
            },
            {"fileData": {"fileUri": "https://example.org/a.jpg"}},
            {"fileData": {"fileUri": "https://example.org/a", "mimeType": "image/webp"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": PNG}},
            {"inlineData": {"mimeType": "application/pdf", "data": PNG, "displayName": "a.pdf"}},
            {"inlineData": {"mimeType": "text/markdown", "data": text}},
        ),
        generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"},
    )
    assert found[0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8=", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "text", "text": "Grüezi"},
    ]


def test_tools() -> None:
    json_schema = {
        "type": "object",
        "properties": {"a_b": {"$ref": "#/$defs/t"}},
        "$defs": {"t": {"type": "string"}},
    }
    tools = [*declared(description="Of a town", behavior="BLOCKING"), {"functionDeclarations": [
        {"name": "other", "parametersJsonSchema": json_schema}, {"name": "time"}]}]  # fmt: skip
    assert sent(tools=tools)["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "parameters": WEATHER_JSON, "description": "Of a town"},
        },
        {"type": "function", "function": {"name": "other", "parameters": json_schema}},
        {"type": "function", "function": {"name": "time"}},
    ]
    order = sent(tools=declared())["tools"][0]["function"]["parameters"]["properties"]
    assert list(order) == ["town", "days", "when", "tags"]


NAMED = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, None),
        ({"mode": "AUTO"}, None),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"mode": "NONE"}, "none"),
        ({"mode": "ANY"}, "required"),
        ({"mode": "any", "allowedFunctionNames": ["weather"]}, NAMED),
        (
            {"mode": "ANY", "allowedFunctionNames": ["weather", "time"]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [NAMED, {"type": "function", "function": {"name": "time"}}],
                },
            },
        ),
    ],
)
def test_modes(config: Object, wanted: Any) -> None:
    tools = [*declared(), {"functionDeclarations": [{"name": "time"}]}]
    assert sent(tools=tools, toolConfig=choice(**config)).get("tool_choice") == wanted


def test_validated_calls_are_held_strictly_where_that_can_be() -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": closed}]}]
    body = sent(tools=tools, toolConfig=choice(mode="VALIDATED"))
    assert body["tools"][0]["function"]["strict"] is True
    assert "tool_choice" not in body
    with pytest.raises(InexpressibleError) as fault:
        sent(tools=declared(), toolConfig=choice(mode="VALIDATED"))
    assert fault.value.param == "toolConfig.functionCallingConfig.mode"


def test_schemas_of_answers_are_strict_where_that_can_be() -> None:
    person = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "required": ["name"]}
    body = configured(responseMimeType="application/json", responseSchema=person)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "response",
            "schema": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
    loose = configured(responseMimeType="application/json", responseSchema=WEATHER)["response_format"]
    assert loose["json_schema"] == {"name": "response", "schema": WEATHER_JSON, "strict": False}
    own = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"], "$defs": {
        "A": {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}}}  # fmt: skip
    form = configured(responseMimeType="application/json", responseJsonSchema=own)["response_format"]
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["$defs"]["A"]["additionalProperties"] is False
    assert configured(responseMimeType="application/json") == {"response_format": {"type": "json_object"}}
    assert configured(responseMimeType="text/plain") == {}


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"thinkingLevel": "low"}, "low"),
        ({"thinkingLevel": "XHIGH", "includeThoughts": True}, "xhigh"),
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": -1}, None),
        ({"thinkingBudget": 1024}, "low"),
        ({"thinkingBudget": 2000}, "medium"),
        ({"thinkingBudget": 20000}, "high"),
        ({"includeThoughts": True}, None),
    ],
)
def test_effort(thinking: Object, effort: str | None) -> None:
    assert configured(thinkingConfig=thinking).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("tier", "wanted"), [("standard", "default"), ("flex", "flex"), ("PRIORITY", "priority")]
)
def test_tiers(tier: str, wanted: str) -> None:
    assert sent(serviceTier=tier)["service_tier"] == wanted

# SPDX-License-Identifier: Apache-2.0
"""Requests of OpenAI clients as Gemini gets them: each is held against Gemini's pinned schema and rules."""

from typing import Any

import pytest

from apps.providers.pairs.openai_gemini import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.gemini_openai_wire import NEW, OLD, PNG, Object, ask, to_gemini
from tests.upstreams.plan import SIGNATURE

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "object",
    "properties": {
        "town": {"$ref": "#/$defs/town"},
        "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["town"],
    "$defs": {"town": {"type": "string", "minLength": 1}},
}


def sent(model: str = NEW, **fields: Any) -> Object:
    return to_gemini(PAIR, {"model": "public-name", "messages": HELLO, **fields}, model)


def config(model: str = NEW, **fields: Any) -> Object:
    found: Object = sent(model, **fields).get("generationConfig", {})
    return found


def contents(*messages: Object, model: str = NEW) -> list[Object]:
    found: list[Object] = sent(model, messages=list(messages))["contents"]
    return found


def tool(name: str = "weather", parameters: Object | None = None, **more: Any) -> Object:
    return {"type": "function", "function": {"name": name, "parameters": parameters or WEATHER, **more}}


def call(
    call_id: str = "c1", name: str = "weather", arguments: str = '{"town":"Bern"}', **more: Any
) -> Object:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def refused(param: str, **fields: Any) -> None:
    body = {"model": "public-name", "messages": HELLO, **fields}
    with pytest.raises(InexpressibleError) as fault:
        PAIR.request(body, ask())
    assert fault.value.param == param
    exchange = ask(drop=True)
    PAIR.request(body, exchange)
    assert param in exchange.dropped


def wrong(param: str, **fields: Any) -> None:
    with pytest.raises(InvalidError) as fault:
        PAIR.request({"model": "public-name", "messages": HELLO, **fields}, ask(drop=True))
    assert fault.value.param == param


def test_every_number_has_its_place() -> None:
    found = config(
        temperature=0.5, top_p=0.9, top_k=40, n=2, seed=-7, stop="END", max_completion_tokens=99,
        presence_penalty=0.5, frequency_penalty=-0.5, logprobs=True, top_logprobs=3,
    )  # fmt: skip
    assert found == {
        "temperature": 0.5, "topP": 0.9, "topK": 40, "candidateCount": 2, "seed": -7, "stopSequences": ["END"],
        "maxOutputTokens": 99, "presencePenalty": 0.5, "frequencyPenalty": -0.5, "responseLogprobs": True,
        "logprobs": 3,
    }  # fmt: skip


def test_a_plain_request_says_nothing_more() -> None:
    assert sent(
        stream=True, stream_options={"include_usage": True}, user="u", store=True, metadata={"a": "b"}
    ) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_system_messages_become_the_instruction() -> None:
    body = sent(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            *HELLO,
        ]
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert len(body["contents"]) == 1


def test_a_late_system_message_is_refused_or_moved() -> None:
    messages = [*HELLO, {"role": "system", "content": "Now in French."}]
    refused("messages[1].role", messages=messages)
    body = PAIR.request({"messages": messages}, ask(drop=True))
    assert body["systemInstruction"] == {"parts": [{"text": "Now in French."}]}


def test_schemas_go_as_they_are() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **WEATHER,
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "w", "description": "A day", "schema": schema}}
    found = config(response_format=form)
    assert found["responseMimeType"] == "application/json"
    assert found["responseJsonSchema"] == {**WEATHER, "additionalProperties": False, "description": "A day"}
    assert config(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}
    assert config(response_format={"type": "text"}) == {}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "time"}},
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("time")]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["time"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("time")]}},
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
    ],
)
def test_tools_and_their_choice(choice: Any, wanted: Object | None) -> None:
    empty = {"type": "object", "properties": {}}
    body = sent(tools=[tool(description="Of a town"), tool("time", empty)], tool_choice=choice)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "Of a town", "parametersJsonSchema": WEATHER},
                {"name": "time"},
            ]
        }
    ]
    assert body.get("toolConfig") == ({"functionCallingConfig": wanted} if wanted else None)


def test_strict_tools_are_validated() -> None:
    body = sent(tools=[tool(strict=True)], parallel_tool_calls=True)
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_parallel_calls_and_their_results() -> None:
    found = contents(
        *HELLO,
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Two towns.",
            "tool_calls": [
                call(extra_content={"google": {"thought_signature": SIGNATURE}}),
                call("c2", arguments=""),
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"sun": true}'},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "no such town"}]},
    )
    assert found[1] == {
        "role": "model",
        "parts": [
            {"text": "Two towns.", "thought": True},
            {"text": "I look."},
            {
                "functionCall": {"id": "c1", "name": "weather", "args": {"town": "Bern"}},
                "thoughtSignature": SIGNATURE,
            },
            {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
        ],
    }
    assert [part["functionResponse"] for part in found[2]["parts"]] == [
        {"id": "c1", "name": "weather", "response": {"sun": True}},
        {"id": "c2", "name": "weather", "response": {"output": "no such town"}},
    ]


@pytest.mark.parametrize(("model", "marked"), [(NEW, True), (OLD, False)])
def test_calls_that_no_gemini_made_say_so_where_it_is_asked(model: str, marked: bool) -> None:
    found = contents(
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call(), call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        model=model,
    )
    assert ["thoughtSignature" in part for part in found[1]["parts"]] == [marked, False]


def test_the_signature_of_a_text_goes_back_to_it() -> None:
    extra = {"google": {"thought_signature": SIGNATURE}}
    found = contents(*HELLO, {"role": "assistant", "content": "Hi", "extra_content": extra}, *HELLO)
    assert found[1]["parts"] == [{"text": "Hi", "thoughtSignature": SIGNATURE}]


def test_pictures_sounds_and_documents() -> None:
    data = f"data:image/png;base64,{PNG}"
    found = contents(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": data}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg?x=1"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a"}},
                {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
                {
                    "type": "file",
                    "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"},
                },
            ],
        }
    )
    assert found[0]["parts"] == [
        {"text": "What is it?"},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"fileUri": "https://example.org/a.jpg?x=1", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://example.org/a"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": PNG}},
        {"inlineData": {"mimeType": "application/pdf", "data": PNG}},
    ]


def picture(detail: str) -> Object:
    url = f"data:image/png;base64,{PNG}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def test_one_detail_for_all_pictures() -> None:
    def asked(*details: str) -> list[Object]:
        return [{"role": "user", "content": [picture(detail) for detail in details]}]

    assert config(messages=asked("low", "low")) == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert config(messages=asked("auto")) == {}
    refused("messages[0].content[1].image_url.detail", messages=asked("auto", "high"))
    refused("messages[0].content[0].image_url.detail", messages=asked("original"))


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        (NEW, "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        (NEW, "high", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (NEW, "max", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.1-pro", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-4-flash", "xhigh", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
        (OLD, "none", {"thinkingBudget": 0}),
        (OLD, "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
    ],
)
def test_effort(model: str, effort: str, thinking: Object) -> None:
    assert config(model, reasoning_effort=effort) == {"thinkingConfig": thinking}


def test_a_model_that_always_thinks_cannot_stop() -> None:
    refused("reasoning_effort", reasoning_effort="none")
    with pytest.raises(InexpressibleError):
        sent("gemini-2.5-pro", reasoning_effort="none")


def test_googles_own_form_of_more() -> None:
    google = {
        "thinking_config": {"include_thoughts": True, "thinking_budget": 500},
        "cached_content": "cachedContents/1",
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }
    body = sent(OLD, extra_body={"google": google})
    assert body["generationConfig"] == {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 500}}
    assert body["cachedContent"] == "cachedContents/1"
    assert body["safetySettings"] == google["safety_settings"]
    level = {"google": {"thinking_config": {"thinking_level": "LOW"}}}
    wrong("reasoning_effort", extra_body=level, reasoning_effort="high")
    refused("extra_body.google.other", extra_body={"google": {"other": 1}})


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("logit_bias", {"logit_bias": {"5": 1}}),
        ("prediction", {"prediction": {"type": "content", "content": "x"}}),
        ("web_search_options", {"web_search_options": {"search_context_size": "low"}}),
        ("audio", {"audio": {"voice": "alloy", "format": "wav"}}),
        ("modalities", {"modalities": ["text", "audio"]}),
        ("functions", {"functions": [{"name": "f"}]}),
        ("function_call", {"function_call": "auto"}),
        ("moderation", {"moderation": {"model": "omni"}}),
        ("verbosity", {"verbosity": "low"}),
        ("service_tier", {"service_tier": "scale"}),
        ("seed", {"seed": 2**40}),
        ("frobnicate", {"frobnicate": 1}),
        ("parallel_tool_calls", {"tools": [tool()], "parallel_tool_calls": False}),
        ("tools[0].type", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
        ("tools[0].function.name", {"tools": [tool("1st")]}),
        ("tool_choice.type", {"tools": [tool()], "tool_choice": {"type": "custom", "custom": {"name": "x"}}}),
        ("messages[0].name", {"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}),
        (
            "messages[1].audio",
            {"messages": [*HELLO, {"role": "assistant", "content": "x", "audio": {"id": "a"}}]},
        ),
        ("messages", {"messages": [{"role": "system", "content": "Be brief."}]}),
        (
            "messages[0].content[1].file.file_id",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "x"},
                            {"type": "file", "file": {"file_id": "file-1"}},
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_what_cannot_be_said_is_refused_or_named(param: str, fields: Object) -> None:
    refused(param, **fields)


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("messages", {"messages": []}),
        ("messages[0].role", {"messages": [{"role": "robot", "content": "x"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 5}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": []}]}),
        ("messages[0].content[0].type", {"messages": [{"role": "user", "content": [{"type": "video"}]}]}),
        ("messages[0].content[0].image_url.url", {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png,raw"}}]}]}),
        ("messages[0].tool_call_id", {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}),
        ("messages[1].tool_calls[1]", {"messages": [*HELLO,
            {"role": "assistant", "tool_calls": [call(), call("c2")]},
            {"role": "tool", "tool_call_id": "c1", "content": "y"}, *HELLO]}),
        ("messages[0].tool_calls[0].function.arguments", {"messages": [
            {"role": "assistant", "tool_calls": [call(arguments="[1")]}]}),
        ("temperature", {"temperature": "warm"}),
        ("n", {"n": 1.5}),
        ("max_tokens", {"max_tokens": 5, "max_completion_tokens": 5}),
        ("stop", {"stop": [1]}),
        ("logprobs", {"logprobs": 5}),
        ("top_logprobs", {"top_logprobs": 5}),
        ("tools", {"tools": {}}),
        ("tool_choice", {"tool_choice": "required"}),
        ("tool_choice", {"tools": [tool()], "tool_choice": "sometimes"}),
        ("reasoning_effort", {"reasoning_effort": "enormous"}),
        ("response_format.type", {"response_format": {"type": "xml"}}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(param: str, fields: Object) -> None:
    wrong(param, **fields)

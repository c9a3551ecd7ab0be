# SPDX-License-Identifier: Apache-2.0
"""Requests of Anthropic clients as Gemini gets them: each is held against Gemini's pinned schema and rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.providers.dialects import signatures
from apps.providers.pairs.anthropic_gemini import PAIR
from apps.providers.pairs.pair import InexpressibleError
from tests.providers.pairs.anthropic_gemini_wire import NEW, OLD, PNG, Body, admitted, ask, given, tool
from tests.upstreams import gemini_rules, plan

RECORDED = Path(gemini_rules.__file__).parent / "recorded"
# The one signature that the upstream takes for its own.
SIGNATURE = plan.SIGNATURE


def sent(fields: Body, model: str = NEW, **more: Any) -> Body:
    before = json.dumps(fields)
    body = PAIR.request(fields, ask(model, **more))
    assert json.dumps(fields) == before
    admitted(body, model)
    return body


def config(**more: Any) -> Body:
    found: Body = sent(given(**more)).get("generationConfig", {})
    return found


def test_settings_of_the_answer_have_their_place() -> None:
    body = sent(
        given(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["END"], system="Be brief.", stream=True)
    )
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "maxOutputTokens": 500, "temperature": 0.5, "topP": 0.9, "topK": 3, "stopSequences": ["END"],
        },
    }  # fmt: skip


def test_cache_hints_and_who_asks_are_let_go_without_an_error() -> None:
    cache = {"type": "ephemeral", "ttl": "1h"}
    body = sent(
        given(
            [{"type": "text", "text": "Hello", "cache_control": cache}],
            system=[{"type": "text", "text": "Be brief.", "cache_control": cache}],
            tools=[tool(cache_control=cache, eager_input_streaming=True, allowed_callers=["direct"])],
            cache_control=cache,
            metadata={"user_id": "u"},
            service_tier="auto",
            speed="standard",
        )
    )
    assert "cache" not in json.dumps(body)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


def test_tools_keep_their_schemas_as_they_are() -> None:
    body = sent(given(tools=[tool(description="Tells it.", type="custom"), tool("time")]))
    schema = tool()["input_schema"]
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "Tells it.", "parametersJsonSchema": schema},
                {"name": "time", "parametersJsonSchema": schema},
            ]
        }
    ]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, {"mode": "AUTO"}),
        ({"type": "any", "disable_parallel_tool_use": False}, {"mode": "ANY"}),
        ({"type": "none"}, {"mode": "NONE"}),
        ({"type": "tool", "name": "weather"}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_every_choice_of_tools_has_a_mode(choice: Body, wanted: Body) -> None:
    body = sent(given(tools=[tool(), tool("time")], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": wanted}


def test_strict_tools_are_held_to_their_schemas() -> None:
    body = sent(given(tools=[tool(strict=True)]))
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_a_web_search_alone_is_googles() -> None:
    body = sent(given(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert body["tools"] == [{"googleSearch": {}}]


def test_results_find_the_names_of_their_calls_and_keep_order() -> None:
    calls = [
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}},
        {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon"},
        {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": [{"type": "text", "text": "no"}]},
        {"type": "text", "text": "And now?"},
    ]  # fmt: skip
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *calls]},
        {"role": "user", "content": results},
    ]
    body = sent(given(messages=turns), OLD)
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"id": "toolu_1", "name": "weather", "args": {"city": "Bern"}}},
                {"functionCall": {"id": "toolu_2", "name": "time", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "toolu_2", "name": "time", "response": {"output": "noon"}}},
                {"functionResponse": {"id": "toolu_1", "name": "weather", "response": {"error": "no"}}},
                {"text": "And now?"},
            ],
        },
    ]


def called(*before: Body, model: str = NEW, content: Any = "noon") -> list[Body]:
    """What goes to Gemini for a history with one call, blocks before it, and its result."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "time", "input": {}}
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [*before, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": content}]},
    ]
    found: list[Body] = sent(given(messages=turns), model)["contents"]
    return found


def test_results_of_several_parts_keep_them_all() -> None:
    content = [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two"},
        {"type": "image", "source": PNG},
    ]
    data = {"inlineData": {"mimeType": "image/png", "data": PNG["data"]}}
    new = called(content=content)[2]["parts"]
    assert new[0]["functionResponse"]["response"] == {"output": ["one", "two"]}
    assert new[0]["functionResponse"]["parts"] == [data]
    old = called(content=content, model=OLD)[2]["parts"]
    assert "parts" not in old[0]["functionResponse"]
    assert old[1] == data


def test_a_lost_signature_is_replaced_where_gemini_insists() -> None:
    assert called()[1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in called(model=OLD)[1]["parts"][0]


def test_a_carried_signature_is_back_on_its_call() -> None:
    carried = {"type": "thinking", "thinking": "Hm.", "signature": signatures.from_gemini(SIGNATURE, "next")}
    thought, call = called(carried)[1]["parts"]
    assert thought == {"text": "Hm.", "thought": True}
    assert call["thoughtSignature"] == SIGNATURE


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxB"},
        {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
    ],
)
def test_thinking_of_others_never_reaches_gemini(foreign: Body) -> None:
    text = json.dumps(called(foreign))
    assert "Hm." not in text
    assert "Em" not in text


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        (PNG, [{"inlineData": {"mimeType": "image/png", "data": PNG["data"]}}]),
        ({"type": "url", "url": "https://a.example/b.webp"},
         [{"fileData": {"fileUri": "https://a.example/b.webp", "mimeType": "image/webp"}}]),
        ({"type": "url", "url": "https://a.example/b"}, [{"fileData": {"fileUri": "https://a.example/b"}}]),
    ],
)  # fmt: skip
def test_images_go_as_data_or_address(source: Body, parts: list[Body]) -> None:
    assert sent(given([{"type": "image", "source": source}]))["contents"][0]["parts"] == parts


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "Plan"},
         [{"text": "Plan"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}]),
        ({"source": {"type": "url", "url": "https://a.example/b"}},
         [{"fileData": {"fileUri": "https://a.example/b", "mimeType": "application/pdf"}}]),
        ({"source": {"type": "text", "media_type": "text/plain", "data": "Words"}, "context": "A letter"},
         [{"text": "A letter"}, {"text": "Words"}]),
        ({"source": {"type": "content", "content": [{"type": "text", "text": "Words"}, {"type": "image", "source": PNG}]}},
         [{"text": "Words"}, {"inlineData": {"mimeType": "image/png", "data": PNG["data"]}}]),
    ],
)  # fmt: skip
def test_documents_go_with_what_stands_above_them(block: Body, parts: list[Body]) -> None:
    assert sent(given([{"type": "document", **block}]))["contents"][0]["parts"] == parts


def test_search_results_go_as_text() -> None:
    block = {"type": "search_result", "source": "https://a.example", "title": "A", "content": [{"type": "text", "text": "B"}]}  # fmt: skip
    texts = [part["text"] for part in sent(given([block]))["contents"][0]["parts"]]
    assert texts == ["A", "https://a.example", "B"]


SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False}


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
)
def test_a_schema_of_the_answer_goes_as_it_is(fields: Body) -> None:
    found = config(**fields)
    assert (found["responseMimeType"], found["responseJsonSchema"]) == ("application/json", SCHEMA)


@pytest.mark.parametrize(
    ("model", "fields", "wanted"),
    [
        (OLD, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingBudget": 2000, "includeThoughts": True}),
        (OLD, {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
         {"thinkingBudget": 2000, "includeThoughts": False}),
        (OLD, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinking": {"type": "disabled"}}, {"thinkingBudget": 128}),
        (OLD, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        (OLD, {"output_config": {"effort": "medium"}}, {"thinkingBudget": 8192}),
        (NEW, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        (NEW, {"thinking": {"type": "disabled"}}, {"thinkingLevel": "LOW"}),
        (NEW, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
         {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (NEW, {"output_config": {"effort": "low"}}, {"thinkingLevel": "LOW"}),
    ],
)  # fmt: skip
def test_thinking_goes_by_budget_or_level(model: str, fields: Body, wanted: Body) -> None:
    body = sent(given(**fields, max_tokens=4000), model)
    assert body["generationConfig"]["thinkingConfig"] == wanted


def test_system_messages_join_the_system_prompt_wherever_they_stand() -> None:
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": [{"type": "text", "text": "Be quick."}]},
    ]
    body = sent(given(messages=turns, system="Be brief."))
    texts = [part["text"] for part in body["systemInstruction"]["parts"]]
    assert texts == ["Be brief.", "Be kind.", "Be quick."]
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]


def test_a_deferred_tool_is_declared_once_it_is_loaded() -> None:
    tools = [tool("search"), tool("weather", defer_loading=True), tool("time", defer_loading=True)]
    assert names_of(sent(given(tools=tools))) == ["search"]
    reference = [{"type": "tool_reference", "tool_name": "weather"}]
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "search", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": reference}]},
    ]
    body = sent(given(messages=turns, tools=tools))
    assert names_of(body) == ["search", "weather"]
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"output": "weather"}


def names_of(body: Body) -> list[str]:
    return [declaration["name"] for declaration in body["tools"][0]["functionDeclarations"]]


def test_what_claude_code_sends_is_taken_whole() -> None:
    recorded = json.loads((RECORDED / "claude_code.json").read_text(encoding="utf-8"))["requests"]
    assert len(recorded) >= 4
    for request in recorded:
        counts = request["path"].endswith("count_tokens")
        body = (PAIR.count_request if counts else PAIR.request)(request["body"], ask())
        admitted(body, NEW, "countTokens" if counts else "generateContent")


def test_neighbours_of_one_role_are_one_content() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    assert sent(given(messages=turns))["contents"] == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    ]


def test_a_schema_and_tools_together_need_gemini_3() -> None:
    fields = given(tools=[tool()], output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    sent(fields)
    with pytest.raises(InexpressibleError, match="before Gemini 3"):
        PAIR.request(fields, ask(OLD))


def test_a_count_is_of_the_whole_request_and_needs_no_limit() -> None:
    fields = given(system="Be brief.", tools=[tool()])
    del fields["max_tokens"]
    body = PAIR.count_request(fields, ask())
    inner = body["generateContentRequest"]
    assert inner["model"] == f"models/{NEW}"
    assert inner.keys() == {"model", "contents", "systemInstruction", "tools"}
    admitted(body, NEW, "countTokens")
    assert PAIR.count_answer({"totalTokens": 12, "cachedContentTokenCount": 4}, ask()) == {"input_tokens": 12}
    assert PAIR.count_answer({}, ask()) == {"input_tokens": 0}
    with pytest.raises(ValueError, match="count"):
        PAIR.count_answer({"totalTokens": "12"}, ask())

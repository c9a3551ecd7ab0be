# SPDX-License-Identifier: Apache-2.0
"""Gemini's own words: schemas, calls and their ids, spellings, thinking, data."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.dialects.gemini_parts import (
    Calls,
    camel,
    camel_name,
    data_url,
    file_data,
    from_data_url,
    kept_by_google,
    objects,
    standard_base64,
    system_texts,
)
from apps.providers.dialects.gemini_schema import closed, strict_ready, to_json_schema
from apps.providers.dialects.gemini_thinking import EFFORTS, effort_of, takes_levels, thinking_of
from apps.providers.pairs.pair import InvalidError

Schema = dict[str, Any]


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "NUMBER", "format": "double"}, {"type": "number"}),
        ({"type": "TYPE_UNSPECIFIED", "description": "x"}, {"description": "x"}),
        (
            {"type": "STRING", "minLength": "2", "max_length": 5},
            {"type": "string", "minLength": 2, "maxLength": 5},
        ),
        (
            {"type": "STRING", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"type": "STRING", "nullable": False, "example": "a"}, {"type": "string", "examples": ["a"]}),
        (
            {"any_of": [{"type": "STRING"}, {"type": "OBJECT", "properties": {"a_b": {"type": "NULL"}}}]},
            {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a_b": {"type": "null"}}}]},
        ),
        (
            {"type": "OBJECT", "additional_properties": {"type": "INTEGER"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (
            {"type": "OBJECT", "additionalProperties": False},
            {"type": "object", "additionalProperties": False},
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"n": {"ref": "#/defs/Node", "nullable": True}},
                "defs": {"Node": {"type": "ARRAY", "items": {"$ref": "#/$defs/Node"}}},
            },
            {
                "type": "object",
                "properties": {"n": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
                "$defs": {"Node": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            },
        ),
        ({"type": "STRING", "default": {"type": "KEPT"}}, {"type": "string", "default": {"type": "KEPT"}}),
    ],
)
def test_schemas(schema: Schema, wanted: Schema) -> None:
    assert to_json_schema(schema) == wanted


def test_properties_come_in_their_order() -> None:
    schema = {"properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "missing", "a"]}
    assert list(to_json_schema(schema)["properties"]) == ["c", "a", "b"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "THING"},
        {"type": 5},
        {"properties": []},
        {"items": 5},
        {"anyOf": {}},
        {"minItems": "x"},
        {"properties": {"a": 5}},
    ],
)
def test_what_is_no_schema(schema: Schema) -> None:
    with pytest.raises(ValueError, match=r"has|names"):
        to_json_schema(schema)


def test_schemas_may_not_be_endless() -> None:
    deep: Schema = {"type": "STRING"}
    for _ in range(500):
        deep = {"type": "ARRAY", "items": deep}
    with pytest.raises(ValueError, match="nested too deeply"):
        to_json_schema(deep)
    assert not strict_ready(closed({"type": "object", "properties": {"a": deep}, "required": ["a"]}))


STRICT = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "ready"),
    [
        (STRICT, True),
        ({**STRICT, "required": []}, False),
        ({**STRICT, "additionalProperties": True}, False),
        ({"type": "array", "items": STRICT}, False),
        ({**STRICT, "properties": {"a": {"type": "array", "items": STRICT}}}, True),
        ({**STRICT, "properties": {"a": {"anyOf": [STRICT, {"type": "null"}]}}}, True),
        ({**STRICT, "properties": {"a": {"anyOf": [{"type": "object"}]}}}, False),
        ({**STRICT, "properties": {"a": {"type": "string", "minLength": 1}}}, False),
        ({**STRICT, "properties": {"a": {"type": "string", "format": "uri"}}}, False),
        ({**STRICT, "properties": {"a": {"type": "string", "format": "uuid"}}}, True),
        ({**STRICT, "$defs": {"b": {"type": "object"}}}, False),
        ({**STRICT, "allOf": []}, False),
        ({}, False),
        (None, False),
    ],
)
def test_what_can_be_held_strictly(schema: Any, ready: bool) -> None:
    assert strict_ready(schema) is ready


def test_closing_changes_only_open_objects() -> None:
    open_schema = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {}}, "b": {"type": "object"}},
        "$defs": {"c": {"properties": {"d": {}}, "additionalProperties": True}},
        "default": {"properties": {}},
    }
    before = repr(open_schema)
    assert closed(open_schema) == {
        "type": "object",
        "properties": {
            "a": {"type": "object", "properties": {}, "additionalProperties": False},
            "b": {"type": "object"},
        },
        "$defs": {"c": {"properties": {"d": {}}, "additionalProperties": True}},
        "default": {"properties": {}},
        "additionalProperties": False,
    }
    assert repr(open_schema) == before


def test_calls_and_responses() -> None:
    calls = Calls()
    assert not calls.waiting()
    assert [calls.opened("f", None), calls.opened("g", ""), calls.opened("f", "own")] == [
        "call_1",
        "call_2",
        "own",
    ]
    assert calls.answered("f", "own", "p") == "own"
    assert calls.answered("f", "another", "p") == "call_1"
    assert calls.waiting() == "g"
    assert calls.answered("g", None, "p") == "call_2"
    with pytest.raises(InvalidError) as fault:
        calls.answered("g", None, "contents[1].parts[0]")
    assert fault.value.param == "contents[1].parts[0]"
    assert not calls.waiting()
    assert [Calls().opened("f", "call_1"), calls.opened("f", "call_3"), calls.opened("f", None)] == [
        "call_1",
        "call_3",
        "call_4",
    ]


def test_spellings() -> None:
    assert camel_name("function_calling_config") == "functionCallingConfig"
    assert camel_name("topP") == "topP"
    assert camel({"top_p": 1, "seed": None, "args": {"a_b": 1}}, "x") == {"topP": 1, "args": {"a_b": 1}}
    with pytest.raises(InvalidError) as fault:
        camel({"top_p": 1, "topP": 2}, "generationConfig")
    assert fault.value.param == "generationConfig.topP"
    assert list(objects({"a_b": 1}, "tools")) == [("tools[0]", {"aB": 1})]
    assert system_texts({"parts": {"text": "x"}}) == ["x"]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_base64_in_either_alphabet(data: bytes) -> None:
    for encoded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode().rstrip("=")):
        assert base64.b64decode(standard_base64(encoded), validate=True) == data
        assert from_data_url(data_url("image/png", encoded)) == ("image/png", standard_base64(encoded))


@pytest.mark.parametrize(
    "url", ["https://x.example/a", "data:image/png,raw", "data:;base64,AA", "data:image/png"]
)
def test_what_is_no_data(url: str) -> None:
    assert from_data_url(url) is None


def test_files() -> None:
    assert from_data_url("data:text/plain;charset=utf-8;base64,AA==") == ("text/plain", "AA==")
    assert file_data("https://x.example/a.PDF?b=1") == {
        "fileUri": "https://x.example/a.PDF?b=1",
        "mimeType": "application/pdf",
    }
    assert file_data("https://x.example/a") == {"fileUri": "https://x.example/a"}
    assert kept_by_google("gs://bucket/a.png")
    assert not kept_by_google("https://example.org/files/a.png")


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("gemini-2.5-flash", False),
        ("models/gemini-2.0-pro", False),
        ("gemini-3-pro-preview", True),
        ("gemini-4.1-flash", True),
        ("gemini-flash-latest", True),
    ],
)
def test_which_models_take_levels(model: str, levels: bool) -> None:
    assert takes_levels(model) is levels


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.1-flash", "gemini-4-pro"])
@pytest.mark.parametrize("effort", sorted(EFFORTS))
def test_effort_survives_the_way_there_and_back(model: str, effort: str) -> None:
    told = thinking_of(effort, model)
    if told is None:
        assert effort == "none"
        return
    same = {"max": "xhigh"}
    if "2.5" in model:
        same = {"minimal": "low", "xhigh": "high", "max": "high"}
    elif "3.1" in model:
        same = {"xhigh": "high", "max": "high"}
    assert effort_of(told) == same.get(effort, effort)


@pytest.mark.parametrize("config", [{"thinkingLevel": "DEEP"}, {"thinkingBudget": "many"}])
def test_nonsense_about_thinking(config: Schema) -> None:
    with pytest.raises(ValueError, match=r"is no level|whole number"):
        effort_of(config)

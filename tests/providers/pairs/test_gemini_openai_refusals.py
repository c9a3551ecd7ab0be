# SPDX-License-Identifier: Apache-2.0
"""What OpenAI cannot be told for a Gemini client, and what is wrong in Gemini's own dialect: the field is named."""

from typing import Any

import pytest

from apps.providers.pairs.gemini_openai import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.gemini_openai_wire import PNG, Object, ask

HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]
WEATHER = {"type": "OBJECT", "properties": {"town": {"type": "STRING"}}}


def user(*parts: Object) -> Object:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Object) -> Object:
    return {"role": "model", "parts": list(parts)}


def declared(name: str = "weather", **more: Any) -> list[Object]:
    return [{"functionDeclarations": [{"name": name, "parameters": WEATHER, **more}]}]


def choice(**config: Any) -> Object:
    return {"functionCallingConfig": config}


def refused(param: str, **fields: Any) -> None:
    body = {"contents": HELLO, **fields}
    with pytest.raises(InexpressibleError) as fault:
        PAIR.request(body, ask("gpt-6-sol"))
    assert fault.value.param == param
    exchange = ask("gpt-6-sol", drop=True)
    PAIR.request(body, exchange)
    assert param in exchange.dropped


def wrong(param: str, **fields: Any) -> None:
    with pytest.raises(InvalidError) as fault:
        PAIR.request({"contents": HELLO, **fields}, ask("gpt-6-sol", drop=True))
    assert fault.value.param == param


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("generationConfig.topK", {"generationConfig": {"topK": 40}}),
        ("generationConfig.speechConfig", {"generationConfig": {"speechConfig": {}}}),
        ("generationConfig.imageConfig", {"generationConfig": {"imageConfig": {}}}),
        (
            "generationConfig.responseModalities",
            {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        ),
        (
            "generationConfig.mediaResolution",
            {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_MEDIUM"}},
        ),
        ("generationConfig.stopSequences", {"generationConfig": {"stopSequences": list("abcde")}}),
        ("generationConfig.responseMimeType", {"generationConfig": {"responseMimeType": "text/x.enum"}}),
        (
            "generationConfig.responseSchema",
            {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": {"type": "ARRAY"},
                }
            },
        ),
        ("generationConfig.thinkingConfig.other", {"generationConfig": {"thinkingConfig": {"other": 1}}}),
        ("generationConfig.frobnicate", {"generationConfig": {"frobnicate": 1}}),
        (
            "contents[0].parts[0].mediaResolution",
            {
                "contents": [
                    user(
                        {
                            "inlineData": {"mimeType": "application/pdf", "data": PNG},
                            "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                        }
                    )
                ]
            },
        ),
        ("cachedContent", {"cachedContent": "cachedContents/1"}),
        ("frobnicate", {"frobnicate": 1}),
        ("serviceTier", {"serviceTier": "golden"}),
        (
            "safetySettings[0].threshold",
            {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]},
        ),
        ("tools[0].googleSearch", {"tools": [{"googleSearch": {}}]}),
        ("tools[0].codeExecution", {"tools": [{"code_execution": {}}]}),
        ("tools[0].urlContext", {"tools": [{"urlContext": {}}]}),
        ("tools[0].functionDeclarations[0].name", {"tools": declared("a.b:c")}),
        ("tools[0].functionDeclarations[0].response", {"tools": declared(response={"type": "STRING"})}),
        ("tools[0].functionDeclarations[0].behavior", {"tools": declared(behavior="NON_BLOCKING")}),
        ("toolConfig.retrievalConfig", {"toolConfig": {"retrievalConfig": {"languageCode": "de"}}}),
        (
            "toolConfig.functionCallingConfig.streamFunctionCallArguments",
            {"tools": declared(), "toolConfig": choice(streamFunctionCallArguments=True)},
        ),
        (
            "contents[0].parts[0].videoMetadata",
            {"contents": [user({"text": "x", "videoMetadata": {"fps": 1}})]},
        ),
        (
            "contents[0].parts[1].inlineData.mimeType",
            {"contents": [user({"text": "x"}, {"inlineData": {"mimeType": "video/mp4", "data": PNG}})]},
        ),
        (
            "contents[0].parts[1].fileData.fileUri",
            {
                "contents": [
                    user({"text": "x"}, {"fileData": {"fileUri": "gs://b/a.png", "mimeType": "image/png"}})
                ]
            },
        ),
        (
            "contents[1].parts[0].executableCode",
            {"contents": [*HELLO, model({"executableCode": {"code": "1"}}), *HELLO]},
        ),
        (
            "contents[2].parts[0].functionResponse.parts",
            {
                "contents": [
                    *HELLO,
                    model({"functionCall": {"name": "f"}}),
                    user({"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {}}]}}),
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
        ("contents", {"contents": []}),
        ("contents", {"contents": "Hello"}),
        ("contents", {"contents": [model({"text": "t", "thought": True})]}),
        ("contents", {"contents": [*HELLO, model({"functionCall": {"name": "f"}})]}),
        ("contents[2].parts", {"contents": [*HELLO, model({"functionCall": {"name": "f"}}), *HELLO]}),
        ("contents[0].role", {"contents": [{"role": "robot", "parts": []}]}),
        ("contents[0].parts[0]", {"contents": [user({"text": "x", "inlineData": {}})]}),
        ("contents[0].parts[0].text", {"contents": [user({"text": 5})]}),
        ("contents[0].parts[0].inlineData", {"contents": [user({"inlineData": {"data": PNG}})]}),
        ("contents[0].parts[0].functionCall", {"contents": [user({"functionCall": {"name": "f"}})]}),
        ("contents[0].parts[0].functionResponse", {"contents": [user({"functionResponse": {"name": "f", "response": {}}})]}),
        ("contents[0].parts[0].functionCall.args", {"contents": [model({"functionCall": {"name": "f", "args": "x"}})]}),
        ("systemInstruction.parts[0]", {"systemInstruction": {"parts": [{"inlineData": {}}]}}),
        ("generationConfig", {"generationConfig": []}),
        ("generationConfig.temperature", {"generationConfig": {"temperature": "warm"}}),
        ("generationConfig.logprobs", {"generationConfig": {"logprobs": 3}}),
        ("generationConfig.candidateCount", {"generationConfig": {"candidateCount": 1.5}}),
        ("generationConfig.stopSequences", {"generationConfig": {"stopSequences": "x"}}),
        ("generationConfig.responseSchema", {"generationConfig": {"responseSchema": {"type": "OBJECT"}}}),
        ("generationConfig.responseSchema", {"generationConfig": {
            "responseMimeType": "application/json", "responseSchema": {"type": "THING"}}}),
        ("generationConfig.thinkingConfig.thinkingLevel", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "DEEP"}}}),
        ("tools[0].functionDeclarations[0].name", {"tools": [{"functionDeclarations": [{}]}]}),
        ("tools[0].functionDeclarations[0].parameters", {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 1}]}]}),
        ("toolConfig.functionCallingConfig.mode", {"tools": declared(), "toolConfig": choice(mode="SOMETIMES")}),
        ("toolConfig.functionCallingConfig.mode", {"toolConfig": choice(mode="ANY")}),
        ("toolConfig.functionCallingConfig.allowedFunctionNames", {
            "tools": declared(), "toolConfig": choice(mode="ANY", allowedFunctionNames=["nope"])}),
        ("toolConfig.functionCallingConfig.allowedFunctionNames", {
            "tools": declared(), "toolConfig": choice(mode="AUTO", allowedFunctionNames=["weather"])}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(param: str, fields: Object) -> None:
    wrong(param, **fields)

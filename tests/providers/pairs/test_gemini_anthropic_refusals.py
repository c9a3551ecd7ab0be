# SPDX-License-Identifier: Apache-2.0
"""What stops a request of a Gemini client before it reaches Anthropic, and which field it is told."""

from typing import Any

import pytest

from apps.providers.pairs.gemini_anthropic import PAIR
from apps.providers.pairs.pair import InexpressibleError, InvalidError
from tests.providers.pairs.gemini_anthropic_wire import (
    ADAPTIVE,
    BUDGET,
    NEWEST,
    PNG,
    SIGNED,
    THOUGHTLESS,
    Body,
    admitted,
    ask,
    called,
    declared,
    given,
)


def config(**more: Any) -> Body:
    return {"generationConfig": more}


def one(part: Body) -> Body:
    return {"contents": [{"role": "user", "parts": [{"text": "Hello"}, part]}]}


PART = "contents[0].parts[1]"
CANNOT: list[tuple[str, Body, str]] = [
    (ADAPTIVE, {"cachedContent": "cachedContents/1"}, "cachedContent"),
    (ADAPTIVE, {"continuationToken": "t"}, "continuationToken"),
    (ADAPTIVE, {"anythingNew": 1}, "anythingNew"),
    (ADAPTIVE, {"serviceTier": "flex"}, "serviceTier"),
    (ADAPTIVE, {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"}]},
     "safetySettings[0].threshold"),
    *((ADAPTIVE, config(**{name: value}), f"generationConfig.{name}") for name, value in [
        ("candidateCount", 2), ("seed", 1), ("presencePenalty", 0.5), ("frequencyPenalty", 0.5), ("logprobs", 3),
        ("responseLogprobs", True), ("responseModalities", ["TEXT", "IMAGE"]), ("mediaResolution", "MEDIA_RESOLUTION_LOW"),
        ("speechConfig", {}), ("imageConfig", {}), ("enableEnhancedCivicAnswers", True), ("responseFormat", [{}]),
        ("temperature", 1.5), ("responseMimeType", "text/x.enum"), ("anythingNew", 1)]),
    (NEWEST, config(temperature=0.5), "generationConfig.temperature"),
    (NEWEST, config(topP=0.9), "generationConfig.topP"),
    (NEWEST, config(topK=40), "generationConfig.topK"),
    (ADAPTIVE, config(temperature=0.5, topP=0.9), "generationConfig.topP"),
    (BUDGET, config(temperature=0.5, thinkingConfig={"thinkingBudget": 2000}), "generationConfig.temperature"),
    (BUDGET, config(topK=4, thinkingConfig={"thinkingBudget": 2000}), "generationConfig.topK"),
    (BUDGET, config(maxOutputTokens=500, thinkingConfig={"thinkingBudget": 2000}), "generationConfig.thinkingConfig"),
    (THOUGHTLESS, config(thinkingConfig={"thinkingBudget": 2000}), "generationConfig.thinkingConfig"),
    (ADAPTIVE, {**config(responseMimeType="application/json"), "tools": declared("f")}, "generationConfig.responseMimeType"),
    (ADAPTIVE, {"tools": [{"codeExecution": {}}]}, "tools[0].codeExecution"),
    (ADAPTIVE, {"tools": [{"urlContext": {}}]}, "tools[0].urlContext"),
    (ADAPTIVE, {"tools": [{"googleMaps": {}}]}, "tools[0].googleMaps"),
    (ADAPTIVE, {"tools": [{"googleSearch": {"timeRangeFilter": {}}}]}, "tools[0].googleSearch.timeRangeFilter"),
    (ADAPTIVE, {"tools": [{"googleSearch": {"searchTypes": {"imageSearch": {}}}}]}, "tools[0].googleSearch.searchTypes"),
    (ADAPTIVE, {"tools": declared("f", behavior="NON_BLOCKING")}, "tools[0].functionDeclarations[0].behavior"),
    (ADAPTIVE, {"toolConfig": {"retrievalConfig": {}}}, "toolConfig.retrievalConfig"),
    (ADAPTIVE, {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}},
     "toolConfig.functionCallingConfig.streamFunctionCallArguments"),
    (ADAPTIVE, {"tools": declared("f"), "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
                **config(thinkingConfig={"thinkingBudget": -1})}, "toolConfig.functionCallingConfig.mode"),
    (ADAPTIVE, one({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}), f"{PART}.inlineData"),
    (ADAPTIVE, one({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}}), f"{PART}.fileData.fileUri"),
    (ADAPTIVE, one({"fileData": {"fileUri": "gs://a/b.png"}}), f"{PART}.fileData.fileUri"),
    (ADAPTIVE, one({"fileData": {"fileUri": "https://a.example/b.mp4"}}), f"{PART}.fileData"),
    (ADAPTIVE, one({"executableCode": {"code": "1"}}), f"{PART}.executableCode"),
    (ADAPTIVE, one({"toolCall": {}}), f"{PART}.toolCall"),
    (ADAPTIVE, one({"text": "a", "videoMetadata": {}}), f"{PART}.videoMetadata"),
    (ADAPTIVE, one({"text": "a", "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}), f"{PART}.mediaResolution"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "fields", "param"), CANNOT)
def test_what_anthropic_cannot_be_told_is_named_or_dropped_on_request(
    model: str, fields: Body, param: str
) -> None:
    with pytest.raises(InexpressibleError) as caught:
        PAIR.request({**given(), **fields}, ask(model))
    assert caught.value.param == param
    dropping = ask(model, drop=True)
    admitted(PAIR.request({**given(), **fields}, dropping))
    assert dropping.dropped == [param]


INVALID: list[tuple[Body, str]] = [
    ({"contents": None}, "contents"),
    ({"contents": []}, "contents"),
    ({"contents": "Hello"}, "contents"),
    ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "contents"),
    ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
    ({"contents": [{"parts": "a"}]}, "contents[0].parts"),
    ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
    ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts[0]"),
    ({"generation_config": {}, "generationConfig": {}}, "generationConfig"),
    (config(maxOutputTokens=0), "generationConfig.maxOutputTokens"),
    (config(maxOutputTokens="7"), "generationConfig.maxOutputTokens"),
    (config(temperature="hot"), "generationConfig.temperature"),
    (config(temperature=2.5), "generationConfig.temperature"),
    (config(topK=1.5), "generationConfig.topK"),
    (config(stopSequences="END"), "generationConfig.stopSequences"),
    (config(thinkingConfig={"thinkingLevel": "HUGE"}), "generationConfig.thinkingConfig"),
    (config(responseMimeType="application/json", responseSchema={"type": "THING"}), "generationConfig.responseSchema"),
    (config(responseMimeType="application/json", responseSchema=[]), "generationConfig.responseSchema"),
    ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": 1}}]}]},
     "tools[0].functionDeclarations[0].parameters"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig.functionCallingConfig.mode"),
    ({"tools": declared("f"), "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}},
     "toolConfig.functionCallingConfig.allowedFunctionNames"),
    (called("user", {"functionCall": {"name": "f"}}), "contents[0].parts[0].functionCall"),
    (called("model", {"functionCall": {"name": "f", "args": []}}), "contents[0].parts[0].functionCall.args"),
    (called("user", {"functionResponse": {"name": "f", "response": {}}}), "contents[0].parts[0].functionResponse"),
    (called("model", {"functionResponse": {"name": "f", "response": {}}}), "contents[0].parts[0].functionResponse"),
    (called("user", {"inlineData": {"data": PNG}}), "contents[0].parts[0].inlineData.mimeType"),
    (called("user", {"inlineData": {"mimeType": "text/plain", "data": "%"}}), "contents[0].parts[0].inlineData.data"),
    (called("model", {"text": "a", "thoughtSignature": SIGNED[:40]}), "contents[0].parts[0].thoughtSignature"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), INVALID)
def test_what_is_wrong_in_geminis_own_terms_is_named(fields: Body, param: str) -> None:
    with pytest.raises(InvalidError) as caught:
        PAIR.request({**given(), **fields}, ask())
    assert caught.value.param == param

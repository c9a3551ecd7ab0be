# SPDX-License-Identifier: Apache-2.0
"""The bodies of Gemini's answers (ai.google.dev/api/generate-content) that an upstream gives."""

import json
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tests.upstreams import plan
from tests.upstreams.openai_more import vector
from tests.upstreams.plan import Call, Facts
from tests.upstreams.script import Script
from tests.upstreams.wire import sse

MODELS = ("gemini-2.5-flash", "gemini-3.1-pro")
_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_WIDTH = 8

Part = dict[str, Any]


class Asked:
    """One request as an upstream sees it; its model is in the path."""

    def __init__(self, raw: bytes, body: dict[str, Any], model: str) -> None:
        self.raw, self.body, self.model = raw, body, model
        self.config: dict[str, Any] = self.body.get("generationConfig") or {}
        self.n = int(self.config.get("candidateCount") or 1)
        self.prompt = next(filter(None, map(_user_text, reversed(self.body["contents"]))), "")

    @property
    def signs(self) -> bool:
        """Whether the model signs its calls and gives them ids."""
        return self.model.startswith("gemini-3")

    @cached_property
    def facts(self) -> Facts:
        """What the request brought."""
        tools = self.body.get("tools") or ()
        parts = [part for content in self.body["contents"] for part in content["parts"]]
        return Facts(
            tuple(d["name"] for tool in tools for d in tool.get("functionDeclarations") or ()),
            tuple(_sight(part) for part in parts if "inlineData" in part or "fileData" in part),
            tuple(
                _result(p["functionResponse"])
                for p in self.body["contents"][-1]["parts"]
                if "functionResponse" in p
            ),
            self.config.get("responseSchema") or self.config.get("responseJsonSchema"),
            bool((self.config.get("thinkingConfig") or {}).get("includeThoughts")),
        )


def _user_text(content: dict[str, Any]) -> str:
    if content.get("role", "user") != "user":
        return ""
    return "".join(part.get("text", "") for part in content["parts"])


def _sight(part: Part) -> str:
    if "fileData" in part:
        return str(part["fileData"].get("fileUri"))
    return plan.sight(part["inlineData"]["mimeType"], part["inlineData"]["data"])


def _result(response: dict[str, Any]) -> str:
    """A function's response; what was a text elsewhere is under `output`, `result` or `error`."""
    given = response["response"]
    for name, before in (("output", ""), ("result", ""), ("error", "error: ")):
        if name in given:
            said = given[name]
            return f"{response['name']}: {before}{said if isinstance(said, str) else json.dumps(said)}"
    return f"{response['name']}: {json.dumps(given)}"


def parts_of(script: Script, asked: Asked, text: str) -> list[Part]:
    """The parts of an answer."""
    made: list[Part] = []
    if script.think and asked.facts.thinks:
        made.append({"text": plan.THOUGHT, "thought": True})
    calls = plan.calls(script, asked.facts)
    if not calls or script.text:
        made.append({"text": text})
    made += [_call(call, asked) for call in calls]
    if made and (asked.signs or (script.think and asked.facts.thinks)):
        signed = next((part for part in made if "functionCall" in part), made[-1])
        signed["thoughtSignature"] = plan.SIGNATURE
    return made


def _call(call: Call, asked: Asked) -> Part:
    made: dict[str, Any] = {"name": call.name, "args": call.arguments}
    if asked.signs:
        made = {"id": f"fc_upstream_{call.number}", **made}
    return {"functionCall": made}


def usage_of(script: Script, asked: Asked, text: str) -> dict[str, Any] | None:
    """What the answer says it used; candidates without the thoughts."""
    found = plan.numbers(script, asked.raw, text, asked.n)
    if found is None:
        return None
    usage: dict[str, Any] = {
        "promptTokenCount": found.input,
        "candidatesTokenCount": found.output - found.reasoning,
        "totalTokenCount": found.input + found.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": found.input}],
    }
    if found.cached:
        usage["cachedContentTokenCount"] = found.cached
    if found.reasoning:
        usage["thoughtsTokenCount"] = found.reasoning
    return usage


def whole(script: Script, asked: Asked, text: str) -> bytes:
    """The JSON body of an answer."""
    if script.garbage:
        return b'{"candidates": [{"content": {"parts": "this never'
    ending = _ending(script)
    content = {"parts": parts_of(script, asked, text), "role": "model"}
    candidates = [
        {**({} if script.refuse else {"content": content}), **ending, "index": index}
        for index in range(asked.n)
    ]
    if asked.config.get("responseLogprobs"):
        for candidate in candidates:
            candidate |= {"avgLogprobs": -0.25, "logprobsResult": _logprobs(text)}
    answer = _chunk(script, asked, candidates, usage_of(script, asked, text))
    if script.unknown:
        answer["xUnknown"] = {"kept": [1, 2.50, "ünïcode"]}
    return json.dumps(answer, ensure_ascii=False).encode()


def _logprobs(text: str) -> dict[str, Any]:
    chosen = [
        {"token": word, "logProbability": -0.25, "tokenId": at} for at, word in enumerate(text.split(" "))
    ]
    return {"chosenCandidates": chosen, "topCandidates": [{"candidates": [item]} for item in chosen]}


def _ending(script: Script) -> dict[str, Any]:
    if script.refuse:
        return {"finishReason": "SAFETY", "finishMessage": plan.REFUSAL}
    return {"finishReason": _STOPS.get(script.finish, script.finish)}


def _chunk(
    script: Script, asked: Asked, candidates: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    made: dict[str, Any] = {"candidates": candidates}
    if usage is not None:
        made["usageMetadata"] = usage
    return made | {"modelVersion": script.model or asked.model, "responseId": "resp_upstream"}


def events(script: Script, asked: Asked, text: str) -> Iterator[bytes]:
    """The events of a stream in order; each tells the usage so far, the last one all of it."""
    usage = usage_of(script, asked, text)
    so_far = (
        {"promptTokenCount": usage["promptTokenCount"], "totalTokenCount": usage["promptTokenCount"]}
        if usage
        else None
    )
    for part in () if script.refuse else _pieces(script, asked, text):
        for index in range(asked.n):
            candidate = {"content": {"parts": [part], "role": "model"}, "index": index}
            yield _event(script, _chunk(script, asked, [candidate], so_far))
    for index in range(asked.n):
        last = {**_ending(script), "index": index}
        if not script.refuse:
            last = {"content": {"parts": [{"text": ""}], "role": "model"}, **last}
        told = usage if index == asked.n - 1 else so_far
        yield _event(script, _chunk(script, asked, [last], told))


def _pieces(script: Script, asked: Asked, text: str) -> Iterator[Part]:
    for part in parts_of(script, asked, text):
        if "functionCall" in part:
            yield part
            continue
        signature = {"thoughtSignature": part["thoughtSignature"]} if "thoughtSignature" in part else {}
        if part.get("thought"):
            yield from ({"text": piece, "thought": True} for piece in plan.cut(part["text"], 12))
        else:
            yield from ({"text": piece} for piece in plan.pieces(script, part["text"]))
        if signature:
            yield {"text": "", **signature}


def _event(script: Script, chunk: dict[str, Any]) -> bytes:
    extra = {"xUnknown": True} if script.unknown else {}
    return sse(script, json.dumps(chunk | extra, ensure_ascii=False))


def count(asked: Asked) -> bytes:
    """About four bytes per token."""
    return json.dumps({"totalTokens": math.ceil(len(asked.raw) / 4)}).encode()


def vectors(body: dict[str, Any]) -> bytes:
    """One embedding, or one for each of a batch."""
    if "requests" in body:
        return json.dumps({"embeddings": [_vector(item) for item in body["requests"]]}).encode()
    return json.dumps({"embedding": _vector(body)}).encode()


def _vector(request: dict[str, Any]) -> dict[str, Any]:
    text = "".join(part.get("text", "") for part in request["content"]["parts"])
    return {"values": vector(text, request.get("outputDimensionality") or _WIDTH)}


def models() -> bytes:
    """The list of models."""
    methods = ["generateContent", "countTokens"]
    rows = [{"name": f"models/{n}", "displayName": n, "supportedGenerationMethods": methods} for n in MODELS]
    return json.dumps({"models": rows}).encode()

# SPDX-License-Identifier: Apache-2.0
"""CPU that a translation between Gemini and OpenAI takes: per JSON request and answer, and per streamed event.

`python -m bench.pairs_gemini` prints the figures; nothing is judged here.
"""

import json
from collections.abc import Callable
from time import process_time_ns
from typing import Any

from apps.providers.dialects.gemini import DIALECT
from apps.providers.pairs import gemini_openai, openai_gemini
from apps.providers.pairs.pair import Ask, Pair

Object = dict[str, Any]
_ROUNDS, _TURNS, _TOOLS, _EVENTS = 2000, 10, 8, 500
_GEMINI, _OPENAI = "gemini-3.1-flash", "gpt-6-sol"


def _schema(upper: bool) -> Object:
    schema = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
        "required": ["path"],
    }
    if not upper:
        return schema
    text = json.dumps(schema)
    for word in ("object", "string", "array", "integer"):
        text = text.replace(f'"type": "{word}"', f'"type": "{word.upper()}"')
    found: Object = json.loads(text)
    return found


def _openai_request() -> Object:
    """An agent's request in the middle of its work."""
    messages: list[Object] = [{"role": "system", "content": "You are an engineer. " * 200}]
    for turn in range(_TURNS):
        call = {"name": "read", "arguments": json.dumps({"path": f"src/{turn}.py", "lines": [1, 50]})}
        calls = [{"id": f"call_{turn}", "type": "function", "function": call}]
        messages += [
            {"role": "user", "content": [{"type": "text", "text": "Look at the next file, please."}]},
            {"role": "assistant", "content": "I look.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": "def main(): ...\n" * 20},
        ]
    functions = [
        {"name": f"tool_{n}", "description": "Works.", "parameters": _schema(upper=False)}
        for n in range(_TOOLS)
    ]
    tools = [{"type": "function", "function": function} for function in functions]
    return {"model": "m", "messages": messages, "tools": tools, "max_completion_tokens": 4000, "stream": True}


def _gemini_request() -> Object:
    """The same request in Gemini's form, with schemas in Gemini's own words."""
    body = openai_gemini.PAIR.request(_openai_request(), _ask(_GEMINI))
    for declaration in body["tools"][0]["functionDeclarations"]:
        del declaration["parametersJsonSchema"]
        declaration["parameters"] = _schema(upper=True)
    return body


def _ask(model: str) -> Ask:
    return Ask(model="m", upstream_model=model, request_id="r", created=1, include_usage=True)


def _gemini_events() -> list[Object]:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
    details = [{"modality": "TEXT", "tokenCount": 9}]
    event = {
        "candidates": [{"content": {"parts": [{"text": "Hello wörld"}], "role": "model"}, "index": 0}],
        "usageMetadata": {**usage, "promptTokensDetails": details},
        "modelVersion": _GEMINI,
        "responseId": "r",
    }
    return [*[event] * _EVENTS, {**event, "candidates": [{"finishReason": "STOP", "index": 0}]}]


def _openai_events() -> list[Object]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": _OPENAI}
    delta = {"index": 0, "delta": {"content": "Hello wörld"}, "finish_reason": None, "logprobs": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [*[{**head, "choices": [delta]}] * _EVENTS, {**head, "choices": [end]}]


def _microseconds(work: Callable[[], int]) -> float:
    """Processor time for each thing done, the best of five."""
    best = float("inf")
    for _ in range(5):
        began, done = process_time_ns(), work()
        best = min(best, (process_time_ns() - began) / 1000 / done)
    return best


def _times(work: Callable[[], Any]) -> Callable[[], int]:
    def repeated() -> int:
        for _ in range(_ROUNDS):
            work()
        return _ROUNDS

    return repeated


def _measure(
    name: str, pair: Pair, model: str, request: Object, answer: Object, events: list[Object]
) -> None:
    def stream() -> int:
        translation = pair.stream(_ask(model))
        for event in events:
            translation.feed(event)
        translation.end()
        return len(events)

    figures = (
        ("request", _microseconds(_times(lambda: pair.request(request, _ask(model))))),
        ("answer", _microseconds(_times(lambda: pair.answer(answer, _ask(model))))),
        ("event", _microseconds(stream)),
    )
    print(f"{name}: " + ", ".join(f"{what} {figure:.1f} µs" for what, figure in figures))


def main() -> None:
    """Print the figures of both pairs and of Gemini's own dialect."""
    call = {"functionCall": {"id": "c", "name": "read", "args": {"path": "a", "lines": [1]}}}
    content = {"role": "model", "parts": [{"text": "I look. " * 50}, call]}
    gemini = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14},
        "responseId": "r",
    }
    openai = openai_gemini.PAIR.answer(gemini, _ask(_GEMINI))
    print(
        f"Requests of {len(json.dumps(_openai_request()))} bytes: {3 * _TURNS + 1} messages, {_TOOLS} tools"
    )
    pair = openai_gemini.PAIR
    _measure("OpenAI client, Gemini provider", pair, _GEMINI, _openai_request(), gemini, _gemini_events())
    pair = gemini_openai.PAIR
    _measure("Gemini client, OpenAI provider", pair, _OPENAI, _gemini_request(), openai, _openai_events())
    raw = json.dumps(_gemini_events()[0]).encode()
    print(f"Gemini's dialect: event {_microseconds(_times(lambda: DIALECT.decode_event(raw))):.1f} µs")


if __name__ == "__main__":
    main()

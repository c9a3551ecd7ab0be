# SPDX-License-Identifier: Apache-2.0
"""CPU that a translation takes: per JSON request and answer, and per streamed event.

`python -m bench.pairs` prints the figures; nothing is judged here.
"""

import json
import pathlib
from collections.abc import Callable
from time import process_time_ns
from typing import Any

from apps.providers.pairs import anthropic_gemini, anthropic_openai, gemini_anthropic, openai_anthropic
from apps.providers.pairs.pair import Ask, Pair

Object = dict[str, Any]
_GOLDEN = pathlib.Path(__file__).parent.parent / "tests" / "providers" / "golden"
_ROUNDS, _TURNS, _TOOLS = 2000, 10, 8
_SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
    "required": ["path"],
}


def _openai_request() -> Object:
    """An agent's request in the middle of its work."""
    messages: list[Object] = [{"role": "system", "content": "You are an engineer. " * 200}]
    for turn in range(_TURNS):
        call = {"name": "read", "arguments": json.dumps({"path": f"src/{turn}.py", "lines": [1, 50]})}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": "Look at the next file, please."}]},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [{"id": f"call_{turn}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": "def main(): ...\n" * 20},
        ]
    tools = [
        {
            "type": "function",
            "function": {"name": f"tool_{n}", "description": "Works.", "parameters": _SCHEMA},
        }
        for n in range(_TOOLS)
    ]
    return {"model": "m", "messages": messages, "tools": tools, "max_completion_tokens": 4000, "stream": True}


def _anthropic_request() -> Object:
    """The same request in Anthropic's form."""
    body = openai_anthropic.PAIR.request(_openai_request(), _ask("claude-opus-4-6"))
    body["system"][-1]["cache_control"] = {"type": "ephemeral"}
    return body


def _ask(model: str) -> Ask:
    return Ask(model="m", upstream_model=model, request_id="r", created=1, include_usage=True)


def _events(folder: str) -> list[Object]:
    """A stream of text with many deltas."""
    lines = [json.loads(line) for line in (_GOLDEN / folder / "text.jsonl").read_text().splitlines()]
    events = [event for line in lines if (event := line.get("provider") or line.get("event"))]
    at = next(n for n, event in enumerate(events) if "wörld" in json.dumps(event, ensure_ascii=False))
    return [*events[:at], *[events[at]] * 500, *events[at:]]


def _microseconds(work: Callable[[], int]) -> float:
    """Processor time for each thing done, the best of five."""
    best = float("inf")
    for _ in range(5):
        began, done = process_time_ns(), work()
        best = min(best, (process_time_ns() - began) / 1000 / done)
    return best


def _measure(
    name: str, pair: Pair, model: str, request: Object, answer: Object, events: list[Object]
) -> None:
    def requests() -> int:
        for _ in range(_ROUNDS):
            pair.request(request, _ask(model))
        return _ROUNDS

    def answers() -> int:
        for _ in range(_ROUNDS):
            pair.answer(answer, _ask(model))
        return _ROUNDS

    def stream() -> int:
        translation = pair.stream(_ask(model))
        for event in events:
            translation.feed(event)
        translation.end()
        return len(events)

    figures = (
        ("request", _microseconds(requests)),
        ("answer", _microseconds(answers)),
        ("event", _microseconds(stream)),
    )
    print(f"{name}: " + ", ".join(f"{what} {figure:.1f} µs" for what, figure in figures))


def main() -> None:
    """Print the figures of each pair."""
    function = {"name": "read", "arguments": '{"path":"a","lines":[1]}'}
    completion = {
        "id": "c",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "content": "I look. " * 50,
                    "tool_calls": [{"id": "c", "type": "function", "function": function}],
                },
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    }
    message = anthropic_openai.PAIR.answer(completion, _ask("gpt-5.2"))
    size = len(json.dumps(_openai_request()))
    print(f"Requests of {size} bytes with {3 * _TURNS + 1} messages and {_TOOLS} tools")
    _measure(
        "OpenAI client, Anthropic provider",
        openai_anthropic.PAIR,
        "claude-opus-4-6",
        _openai_request(),
        message,
        _events("openai_anthropic"),
    )
    _measure(
        "Anthropic client, OpenAI provider",
        anthropic_openai.PAIR,
        "gpt-5.2",
        _anthropic_request(),
        completion,
        _events("anthropic_openai"),
    )
    _between_anthropic_and_gemini(message)


def _between_anthropic_and_gemini(message: Object) -> None:
    there, back = anthropic_gemini.PAIR, gemini_anthropic.PAIR
    asked, response = _anthropic_request(), back.answer(message, _ask("claude-opus-4-6"))
    _measure(
        "Anthropic client, Gemini provider",
        there,
        "gemini-3.1-pro",
        asked,
        response,
        _events("anthropic_gemini"),
    )
    _measure(
        "Gemini client, Anthropic provider",
        back,
        "claude-opus-4-6",
        there.request(asked, _ask("gemini-3.1-pro")),
        message,
        _events("gemini_anthropic"),
    )


if __name__ == "__main__":
    main()

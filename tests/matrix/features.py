# SPDX-License-Identifier: Apache-2.0
"""What each client must see, feature by feature, whoever answers: every function is one row of the matrix."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.matrix.cells import IMPOSSIBLE, Cell
from tests.matrix.seen import Call, Question, Tool, Turn, Usage
from tests.upstreams import plan
from tests.upstreams.script import GREETING

LOOK_UP = Tool(
    "look_up",
    "Looks up the weather of a town.",
    {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
)
BOOK = Tool(
    "book_trip",
    "Books a trip.",
    {
        "type": "object",
        "properties": {"town": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["town", "days"],
    },
)
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "town": {"type": "string"},
        "degrees": {"type": "integer"},
        "kind": {"type": "string", "enum": ["sunny", "wet"]},
        "hours": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["town", "degrees", "kind", "hours"],
    "additionalProperties": False,
}
WEATHER_ANSWER = {"town": "Bern", "degrees": 4, "kind": "sunny", "hours": [4.5]}
# A PNG of one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e5"
    "27de fc0000000049454e44ae426082".replace(" ", "")
)
USAGE = "1000,200,300,100,50"

Row = Callable[[Cell], Awaitable[None]]


async def text(cell: Cell) -> None:
    """The text, why it ended, and the usage."""
    seen = await cell.ask(Question("Hello [[usage=12,7]]"))

    assert seen.texts == (GREETING,)
    assert seen.stop == cell.stop("end")
    assert seen.usage is not None
    assert (seen.usage.input, seen.usage.output) == (12, 7)
    assert seen.calls == ()


async def system(cell: Cell) -> None:
    """The system prompt reaches the provider in its own place; the mirror answers the body that came."""
    seen = await cell.ask(Question("Hello [[mirror=1;split=40]]", system="Answer like a Swiss watch."))

    body = json.loads(seen.text)
    place = {
        "openai": lambda: body["messages"][0],
        "anthropic": lambda: body["system"],
        "gemini": lambda: body["systemInstruction"],
    }[cell.provider]()
    assert "Answer like a Swiss watch." in json.dumps(place)


async def stop_sequences(cell: Cell) -> None:
    """Stop sequences and the token limit reach the provider."""
    seen = await cell.ask(Question("Hello [[mirror=1;split=40]]", stops=("Berne", "Bâle"), most=321))

    body = json.loads(seen.text)
    config = body.get("generationConfig") or {}
    stops = body.get("stop") or body.get("stop_sequences") or config.get("stopSequences")
    most = {body.get(name) for name in ("max_tokens", "max_completion_tokens")} | {
        config.get("maxOutputTokens")
    }
    assert stops == ["Berne", "Bâle"]
    assert most - {None} == {321}


async def seed(cell: Cell) -> None:
    """The seed reaches the provider."""
    seen = await cell.ask(Question("Hello [[mirror=1;split=40]]", seed=7))

    body = json.loads(seen.text)
    assert body.get("seed", (body.get("generationConfig") or {}).get("seed")) == 7


async def tools(cell: Cell) -> None:
    """One call with its name and arguments, an id to answer it by, and the stop of a tool call."""
    seen = await cell.ask(Question("Weather? [[tools=1]]", tools=(LOOK_UP,)))

    (call,) = seen.calls
    assert (call.name, call.arguments) == ("look_up", plan.ARGUMENTS[0])
    assert seen.texts in ((), ("",))
    assert seen.stop == cell.stop("tools")
    _has_ids(cell, seen.calls)


async def text_and_tools(cell: Cell) -> None:
    """Words before a call are kept."""
    seen = await cell.ask(Question("Weather? [[tools=1;text=I%20look.]]", tools=(LOOK_UP,)))

    assert seen.text == "I look."
    assert [call.name for call in seen.calls] == ["look_up"]
    assert seen.stop == cell.stop("tools")


async def parallel_tools(cell: Cell) -> None:
    """Two calls, each with its own id and arguments, in order."""
    seen = await cell.ask(Question("Weather? [[tools=1;parallel=1]]", tools=(LOOK_UP, BOOK)))

    assert [(call.name, call.arguments) for call in seen.calls] == [
        ("look_up", plan.ARGUMENTS[0]),
        ("book_trip", plan.ARGUMENTS[1]),
    ]
    assert seen.stop == cell.stop("tools")
    _has_ids(cell, seen.calls)


def _has_ids(cell: Cell, calls: tuple[Call, ...]) -> None:
    """Ids are there and differ; only Gemini's own client lives without them, as Gemini's older models give none."""
    if cell.provider == "gemini" and cell.client.name == "google-genai":
        return
    assert all(call.identity for call in calls)
    assert len({call.identity for call in calls}) == len(calls)


async def tool_results(cell: Cell) -> None:
    """Results find their calls in the second turn; the provider answers with what it got, by the names of the calls."""
    prompt = "Weather? [[tools=1;parallel=1]]"
    seen = await cell.whole().ask(Question(prompt, tools=(LOOK_UP, BOOK)))

    turn = Turn(prompt, seen, ("9 degrees", "booked"))
    answer = await cell.ask(Question("", tools=(LOOK_UP, BOOK), before=(turn,)))

    assert answer.text == "look_up: 9 degrees; book_trip: booked"
    assert answer.stop == cell.stop("end")


async def failed_tools(cell: Cell) -> None:
    """A result that is an error reaches the provider; OpenAI's dialect has no mark for it."""
    prompt = "Weather? [[tools=1]]"
    seen = await cell.whole().ask(Question(prompt, tools=(LOOK_UP,)))

    turn = Turn(prompt, seen, ("no such town",), failed=True)
    answer = await cell.ask(Question("", tools=(LOOK_UP,), before=(turn,)))

    assert "no such town" in answer.text


async def tool_choice(cell: Cell) -> None:
    """Every kind of choice reaches the provider in its own words."""
    expected: dict[str, dict[str, Any]] = {
        "openai": {
            "auto": "auto",
            "none": "none",
            "required": "required",
            "book_trip": {"type": "function", "function": {"name": "book_trip"}},
        },
        "anthropic": {
            "auto": {"type": "auto"},
            "none": {"type": "none"},
            "required": {"type": "any"},
            "book_trip": {"type": "tool", "name": "book_trip"},
        },
        "gemini": {
            "auto": {"mode": "AUTO"},
            "none": {"mode": "NONE"},
            "required": {"mode": "ANY"},
            "book_trip": {"mode": "ANY", "allowedFunctionNames": ["book_trip"]},
        },
    }
    for choice, words in expected[cell.provider].items():
        seen = await cell.ask(Question("Hello [[mirror=1;split=60]]", tools=(LOOK_UP, BOOK), choice=choice))
        body = json.loads(seen.text)
        found = body.get("tool_choice") or (body.get("toolConfig") or {}).get("functionCallingConfig")
        # Leaving it out says auto as well.
        assert found == words or (choice == "auto" and found is None), choice


async def one_tool_at_a_time(cell: Cell) -> None:
    """Parallel calls can be switched off."""
    seen = await cell.ask(
        Question("Hello [[mirror=1;split=60]]", tools=(LOOK_UP, BOOK), choice="auto", parallel=False)
    )

    body = json.loads(seen.text)
    switched = body.get("parallel_tool_calls") is False
    assert switched or body["tool_choice"]["disable_parallel_tool_use"] is True


async def vision(cell: Cell) -> None:
    """An image arrives byte for byte: the provider answers its type and a digest."""
    seen = await cell.ask(Question("What is this? [[see=1]]", image=PIXEL))

    digest = hashlib.sha256(PIXEL).hexdigest()[:12]
    assert seen.text == f"image/png {digest}"


async def json_schema(cell: Cell) -> None:
    """A schema arrives whole: the provider answers the example it makes from it."""
    seen = await cell.ask(Question("Weather?", schema=WEATHER))

    assert json.loads(seen.text) == WEATHER_ANSWER
    assert seen.stop == cell.stop("end")


async def thinking(cell: Cell) -> None:
    """Thinking is asked for, shown where the provider shows it, signed where it signs, and counted."""
    seen = await cell.ask(Question("Weather? [[think=1;usage=100,60,0,0,40]]", thinking=True), thinks=True)

    assert seen.text == GREETING
    assert seen.usage is not None
    assert (seen.usage.output, seen.usage.reasoning) == (60, 40)
    # OpenAI keeps its thoughts to itself.
    assert seen.thinking == ("" if cell.provider == "openai" else plan.THOUGHT)
    if cell.provider == "anthropic" and cell.client.name != "google-genai":
        assert seen.signature == plan.SIGNATURE


async def redacted_thinking(cell: Cell) -> None:
    """A redacted block does no harm, and an Anthropic or OpenAI client gets it to send back."""
    seen = await cell.ask(Question("Weather? [[think=1;redacted=1]]", thinking=True), thinks=True)

    assert seen.text == GREETING
    if cell.provider == "anthropic" and cell.client.name != "google-genai":
        assert seen.redacted == plan.REDACTED


async def thinking_and_tools(cell: Cell) -> None:
    """Thoughts go back with the results: a provider that signs them turns down what lost its signature."""
    prompt = "Weather? [[think=1;tools=1]]"
    seen = await cell.whole().ask(Question(prompt, tools=(LOOK_UP,), thinking=True), thinks=True)

    turn = Turn(prompt, seen, ("9 degrees",))
    answer = await cell.ask(Question("", tools=(LOOK_UP,), thinking=True, before=(turn,)), thinks=True)

    assert answer.text == "look_up: 9 degrees"


async def refusal(cell: Cell) -> None:
    """A refusal is told as one, with the provider's words."""
    seen = await cell.ask(Question("Something bad [[refuse=1]]"))

    own = cell.provider == "openai" and cell.client.name == "openai"
    assert seen.stop == ("stop" if own else cell.stop("refusal"))
    # Google's client does not read `finishMessage`.
    if cell.client.name != "google-genai":
        assert plan.REFUSAL in seen.refusal


async def length(cell: Cell) -> None:
    """An answer that was cut by the token limit says so."""
    seen = await cell.ask(Question("Hello [[finish=length]]", most=5))

    assert seen.text == GREETING
    assert seen.stop == cell.stop("length")


async def several(cell: Cell) -> None:
    """Two answers to one question."""
    seen = await cell.ask(Question("Hello", n=2))

    assert seen.texts == (GREETING, GREETING)


async def usage(cell: Cell) -> None:
    """Usage is the same number for number: cached and written in the input, reasoning in the output."""
    seen = await cell.ask(Question(f"Hello [[usage={USAGE}]]"))

    written = 0 if cell.provider == "gemini" else 100
    can_say = cell.client.name != "google-genai"
    assert seen.usage == Usage(1000, 200, 300, written if can_say else None, 50)


async def small_pieces(cell: Cell) -> None:
    """Bytes that come one by one, with CRLF and comments between them, are the same answer."""
    # Google sends no comments, and its client cannot read them: a gateway must keep them from it.
    comments = "" if cell.direct and cell.provider == "gemini" else ";comments=1"
    seen = await cell.ask(Question(f"Grüezi [[drip=1;crlf=1{comments};text=Grüezi%20mitenand%20🏔;split=1]]"))

    assert seen.text == "Grüezi mitenand 🏔"
    assert seen.stop == cell.stop("end")


ROWS: dict[str, Row] = {
    "text": text,
    "system prompt": system,
    "stop sequences": stop_sequences,
    "seed": seed,
    "tools": tools,
    "text and tools": text_and_tools,
    "parallel tools": parallel_tools,
    "tool results": tool_results,
    "failed tools": failed_tools,
    "tool choice": tool_choice,
    "one tool at a time": one_tool_at_a_time,
    "vision": vision,
    "JSON schema": json_schema,
    "thinking": thinking,
    "redacted thinking": redacted_thinking,
    "thinking and tools": thinking_and_tools,
    "refusal": refusal,
    "length stop": length,
    "n": several,
    "usage": usage,
    "small pieces": small_pieces,
}


def impossible(feature: str, cell: Cell) -> str:
    """The field that the client must see named, or nothing."""
    found = IMPOSSIBLE.get((feature, cell.client.name, cell.provider))
    return found.param if found else ""

# SPDX-License-Identifier: Apache-2.0
"""What an upstream says, before any dialect puts it into words: text, thinking, tool calls, usage."""

import base64
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.upstreams.script import GREETING, Script, without_script

THOUGHT = "The question is about Bern. I look at what I know."
SIGNATURE = "c2lnbmVkLWJ5LXRoZS11cHN0cmVhbQ=="
REDACTED = "cmVkYWN0ZWQtYnktdGhlLXVwc3RyZWFt"
REFUSAL = "I can't help with that."
ARGUMENTS: tuple[dict[str, Any], ...] = ({"town": "Bern"}, {"town": "Zürich", "days": 3})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request brought, in no dialect: answers that name it prove that it arrived."""

    tools: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()  # images and documents
    results: tuple[str, ...] = ()  # tool results of the last turn, `name: text`
    schema: dict[str, Any] | None = None
    thinks: bool = False  # thinking was asked for and may be shown


class Asked(Protocol):
    """One request as every upstream sees it."""

    @property
    def raw(self) -> bytes:
        """The body as it came."""

    @property
    def prompt(self) -> str:
        """The last words of the user."""

    @property
    def facts(self) -> Facts:
        """What it brought."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call."""

    number: int
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Usage in one sense: input has the cached and the written, output has the reasoning."""

    input: int
    output: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0


def calls(script: Script, facts: Facts) -> list[Call]:
    """The tool calls of an answer: of the tools that were offered, or `look_up`."""
    if not script.tools or facts.results:
        return []
    names = facts.tools or ("look_up",)
    wanted = 2 if script.parallel else 1
    return [Call(number, names[number % len(names)], ARGUMENTS[number]) for number in range(wanted)]


def text_of(script: Script, asked: Asked, headers: Mapping[str, str]) -> str:
    """The text of the answer."""
    text = _words(script, asked, headers)
    return padded(text, script.size) if script.size > len(text) else text


def _words(script: Script, asked: Asked, headers: Mapping[str, str]) -> str:
    if script.mirror:
        return asked.raw.decode()
    if script.heads:
        return json.dumps(dict(headers), sort_keys=True)
    if script.echo:
        return without_script(asked.prompt)
    if script.text:
        return script.text
    if script.tools and asked.facts.results:
        return "; ".join(asked.facts.results)
    if script.see:
        return "; ".join(asked.facts.seen) or "nothing to see"
    if asked.facts.schema is not None:
        return json.dumps(example(asked.facts.schema), ensure_ascii=False)
    return GREETING


def example(schema: Mapping[str, Any]) -> Any:
    """A value of a schema; types may be written the way Gemini does."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        return {name: example(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}))]
    return {"string": "Bern", "integer": 4, "number": 4.5, "boolean": True}.get(kind)


def padded(text: str, size: int) -> str:
    """A text said again and again up to a size."""
    return ((text + " ") * (size // (len(text) + 1) + 1))[:size]


def numbers(script: Script, raw: bytes, text: str, answers: int = 1) -> Numbers | None:
    """What the answer says it used: about four bytes per token, or what the script says; None: it says nothing."""
    if script.usage == "none":
        return None
    if script.usage:
        given = [int(part) for part in script.usage.split(",")]
        return Numbers(*(given + [0] * 5)[:5])
    return Numbers(math.ceil(len(raw) / 4), math.ceil(len(text) / 4) * answers)


def pieces(script: Script, text: str) -> Iterator[str]:
    """The text cut as the script says; together the pieces are the text."""
    if script.endless:
        yield from (f"word{number} " for number in itertools.count())
    elif script.events:
        yield from (f"word{number} " for number in range(script.events))
    elif script.split:
        yield from (text[at : at + script.split] for at in range(0, len(text), script.split))
    else:
        words = text.split(" ")
        yield from (word + " " for word in words[:-1])
        yield words[-1]


def cut(text: str, size: int) -> Iterator[str]:
    """A text in pieces of a size: thinking, and the arguments of a call."""
    return (text[at : at + size] for at in range(0, len(text), size))


def sight(kind: str, data: str) -> str:
    """How an answer names an image or a document: its type and a digest of its bytes, in either alphabet of base64."""
    found = base64.b64decode(data.replace("-", "+").replace("_", "/") + "==")
    return f"{kind} {hashlib.sha256(found).hexdigest()[:12]}"

# SPDX-License-Identifier: Apache-2.0
"""A conversation that was with another provider before goes on with one of the client's own dialect."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from apps.core.http import Call, CallError, Client
from apps.core.outcome import Refuse
from apps.providers.dialects import TABLE
from apps.providers.dialects.signatures import from_anthropic, from_gemini
from apps.providers.stage import Question, Route, send

MINE = {"type": "thinking", "thinking": "Own.", "signature": "c2lnbmVk"}
THEIRS = {"type": "thinking", "thinking": "Other.", "signature": from_gemini("Zm9yZWlnbg==", "self")}
TEXT = {"type": "text", "text": "Yes."}


class Silent:
    """A client that notes what it is to send, and reaches nobody."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def send(self, call: Call) -> Any:
        self.sent.append(json.loads(call.body))
        raise CallError("connect", "nobody is there")


async def told(dialect: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a provider of the client's own dialect is sent."""
    route = Route("tgt", "first", "prv", "gemini-3-pro", "http://x", TABLE[dialect], "")
    client = Silent()
    question = Question(dialect, fields, stream=False)
    assert isinstance(await send(cast("Client", client), [route], question, [], seconds=5), Refuse)
    return client.sent[0]


async def test_anthropic_gets_its_own_thinking_only() -> None:
    messages = [{"role": "assistant", "content": [THEIRS, MINE, TEXT]}, {"role": "user", "content": "Go on."}]

    sent = await told("anthropic", {"model": "m", "max_tokens": 9, "messages": messages})

    assert sent["messages"] == [{"role": "assistant", "content": [MINE, TEXT]}, messages[1]]


async def test_gemini_gets_its_own_signatures_only() -> None:
    parts = [
        {"text": "Yes.", "thoughtSignature": from_anthropic([MINE])},
        {"text": "And.", "thoughtSignature": "b3du"},
    ]

    sent = await told("gemini", {"contents": [{"role": "model", "parts": parts}]})

    assert sent["contents"][0]["parts"] == [{"text": "Yes."}, parts[1]]


@pytest.mark.parametrize(
    ("dialect", "place"), [("openai", "messages"), ("anthropic", "messages"), ("gemini", "contents")]
)
async def test_everything_else_stays_as_it_is(dialect: str, place: str) -> None:
    said = [{"role": "user", "content": "Hello", "parts": [{"text": "Hello"}], "odd": {"kept": [1]}}]

    assert (await told(dialect, {place: said}))[place] == said

# SPDX-License-Identifier: Apache-2.0
"""A silent stream says in its client's own dialect that it lives, or nothing where that would break the client."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, cast

import pytest

from apps.gateway.answer import Answer
from apps.gateway.exchange import begin
from apps.gateway.stream import Stream
from apps.gateway.surfaces import TABLE
from apps.gateway.under_way import UnderWay


class Silent:
    """A stream that says nothing until it is told to end."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def events(self) -> AsyncIterator[bytes]:
        await self.over.wait()
        yield b"data: {}\n\n"


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("openai", b": keep-alive\n\n"),
        ("anthropic", b'event: ping\ndata: {"type":"ping"}\n\n'),
        ("gemini", b""),
    ],
)
async def test_a_silent_stream_is_kept_alive_in_its_own_dialect(dialect: str, said: bytes) -> None:
    sent: list[bytes] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    exchange = begin("/v1/x", TABLE[dialect], "127.0.0.1", "")
    under_way, silent = UnderWay(), Silent()
    handle = under_way.begin(exchange.record.id)
    task = asyncio.create_task(Answer(send, exchange, ()).stream(cast("Stream", silent), handle))
    while handle.whisper is None:
        await asyncio.sleep(0)
    handle.spoke_at = 0.0

    under_way.keep_alive()
    await asyncio.sleep(0)

    assert sent[1:] == ([said] if said else [])
    silent.over.set()
    await task

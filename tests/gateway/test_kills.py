# SPDX-License-Identifier: Apache-2.0
"""Gateways that are killed under load: no answer that completed lacks its record, and none is recorded twice.

The oracle is what clients saw and what the upstream's own log says. Seen red with `Journal.write` made to do nothing:
then every completed answer lacked its record.
"""

import asyncio
import itertools
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from apps.core import keyring
from tests.gateway.conftest import SECRET, Server, journal_lines, start
from tests.gateway.world import World
from tests.upstreams.running import Upstream

RUNS, AT_ONCE = 20, 32
ENOUGH = 100


@dataclass
class Seen:
    """What clients saw: ids of answers that came whole, and how many began."""

    whole: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)


async def ask(client: httpx.AsyncClient, number: int, seen: Seen) -> None:
    """One chat, every second one a stream; what came whole is noted."""
    stream = number % 2 == 0
    body = {
        "model": "busy",
        "stream": stream,
        "messages": [{"role": "user", "content": f"Question {number}"}],
    }
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        identifier = answer.headers["x-request-id"]
        seen.begun.add(identifier)
        raw = await answer.aread()
        assert answer.status_code == 200, raw
    if raw.endswith(b"data: [DONE]\n\n") if stream else json.loads(raw)["object"] == "chat.completion":
        seen.whole.append(identifier)


async def load_until_killed(server: Server, seen: Seen, numbers: "itertools.count[int]") -> None:
    """32 clients that ask until the process is killed, which happens in the middle of their work."""
    enough = len(seen.whole) + ENOUGH

    async def one(client: httpx.AsyncClient) -> None:
        while True:
            try:
                await ask(client, next(numbers), seen)
            except httpx.TransportError:
                return
            if len(seen.whole) >= enough and server.process.returncode is None:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()

    headers = {"authorization": f"Bearer {SECRET}"}
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as client:
        await asyncio.gather(*(one(client) for _ in range(AT_ONCE)))


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_no_completed_answer_lacks_its_record(
    world: World, redis_url: str, ring: keyring.KeyRing, upstream: Upstream, tmp_path: Path
) -> None:
    world.add_target(world.add_model("busy"), world.provider, "events=6;gap=2;first=3")
    seen, numbers = Seen(), itertools.count()
    for _ in range(RUNS):
        server = start(redis_url, ring, tmp_path)
        asyncio.run(load_until_killed(server, seen, numbers))
        server.client.close()
        assert "Traceback" not in server.said()

    done = Counter(record["id"] for kind, record in journal_lines(tmp_path) if kind == "done")
    still_open = {
        name.decode() for key in world.client.keys("sf:*:open:*") for name in world.client.hkeys(key)
    }
    asked = {line["request_id"] for line in upstream.lines() if line["model"] == "events=6;gap=2;first=3"}

    assert len(seen.whole) >= RUNS * ENOUGH
    assert len(set(seen.whole)) == len(seen.whole)
    assert {identifier: done[identifier] for identifier in seen.whole if done[identifier] != 1} == {}
    assert {identifier for identifier, times in done.items() if times > 1} == set()
    # What a provider was asked and nobody recorded is still known as open: it is closed as interrupted later.
    assert asked - set(done) - still_open == set()
    assert seen.begun - set(done) - still_open == set()

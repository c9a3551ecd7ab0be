# SPDX-License-Identifier: Apache-2.0
"""What one request may ask of the stores: no SQL, one Redis round trip before the provider, one batch after.

Counts do not depend on how fast the machine is. The gateway runs in this process so that they can be seen at the
moment the provider is called; duties that run beside requests are stopped, so that nothing else is counted.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.core import http, keyring
from apps.gateway.asgi import Gateway
from apps.gateway.rooms import Config, Rooms
from apps.keys.domain import Budget
from apps.policies.domain import Action
from smartflow_site.env import ROOT
from tests.gateway.world import SECRET, World, connect
from tests.upstreams.running import Upstream, running


@dataclass
class Counting:
    """A client that notes how many batches went to Redis before each call."""

    inner: http.Client
    rooms: Rooms
    seen: list[int] = field(default_factory=list)

    async def send(self, call: http.Call) -> http.Incoming:
        self.seen.append(self.rooms.redis.batches)
        return await self.inner.send(call)

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("upstream") / "log") as found:
        yield found


@pytest.fixture
async def counted(
    redis_url: str, upstream: Upstream, tmp_path: Path
) -> AsyncIterator[tuple[Gateway, Counting]]:
    """A gateway with a key of two budgets and a policy, warm, and with its timed duties at rest."""
    ring = keyring.fresh()
    client = connect(redis_url)
    world = World(client, ring).begin(upstream.url)
    world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT)
    budgets = tuple(Budget(id=f"bgt_{name}", name=name, limit=10**9) for name in ("key", "team"))
    world.add_key(SECRET, budgets=budgets, requests_per_minute=10_000)
    rooms = Rooms(Config(redis_url=redis_url, ring=ring, var=tmp_path))
    gateway, rooms.client = Gateway(rooms), Counting(rooms.client, rooms)
    await rooms.start()
    assert (await ask(gateway, "warm"))["status"] == 200
    for task in rooms._tasks:
        task.cancel()
    await asyncio.gather(*rooms._tasks, return_exceptions=True)
    await quiet(rooms)
    yield gateway, rooms.client
    await rooms.stop()
    client.close()


async def quiet(rooms: Rooms) -> int:
    """The batches so far, once what follows the last byte has been sent."""
    for _ in range(20):
        before = rooms.redis.batches
        await asyncio.sleep(0.05)
        if rooms.redis.batches == before:
            break
    return rooms.redis.batches


async def ask(gateway: Gateway, text: str, **fields: Any) -> dict[str, Any]:
    """One chat through the ASGI door: status, headers and body."""
    body = {"model": "plain", "messages": [{"role": "user", "content": text}], "temperature": 0, **fields}
    scope = {
        "type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions",
        "query_string": b"", "client": ("127.0.0.1", 1), "http_version": "1.1", "asgi": {"version": "3.0"},
        "headers": [(b"authorization", f"Bearer {SECRET}".encode()), (b"content-type", b"application/json")],
    }  # fmt: skip
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": json.dumps(body).encode()}]
    found: dict[str, Any] = {"body": b""}

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found["status"] = message["status"]
            found["headers"] = {name.decode(): value.decode() for name, value in message["headers"]}
        found["body"] += message.get("body", b"")

    await gateway(scope, receive, send)
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_one_round_trip_before_the_provider_and_one_batch_after(
    counted: tuple[Gateway, Counting], stream: bool
) -> None:
    gateway, client = counted
    for number in range(3):
        before = await quiet(client.rooms)

        answer = await ask(gateway, f"Question {number}, {stream}", stream=stream)

        after = await quiet(client.rooms)
        assert answer["status"] == 200
        assert client.seen[-1] - before == 1
        assert after - client.seen[-1] <= 1


async def test_a_rewritten_prompt_costs_no_further_round_trip(counted: tuple[Gateway, Counting]) -> None:
    gateway, client = counted
    before = await quiet(client.rooms)

    assert (await ask(gateway, "Card 4111 1111 1111 1111"))["status"] == 200

    assert client.seen[-1] - before == 1
    assert await quiet(client.rooms) - client.seen[-1] <= 1


async def test_a_hit_is_one_round_trip_and_no_call(counted: tuple[Gateway, Counting]) -> None:
    gateway, client = counted
    await ask(gateway, "The same twice")
    before, calls = await quiet(client.rooms), len(client.seen)

    answer = await ask(gateway, "The same twice")

    assert answer["headers"]["x-smartflow-cache-hit"] == "exact"
    assert await quiet(client.rooms) - before == 1
    assert len(client.seen) == calls


async def test_a_refused_request_asks_nothing_before_its_answer(
    counted: tuple[Gateway, Counting], redis_url: str
) -> None:
    gateway, client = counted
    calls, before = len(client.seen), await quiet(client.rooms)

    refused = await ask(gateway, "hello", max_tokens="many")

    assert refused["status"] == 400
    assert len(client.seen) == calls
    assert await quiet(client.rooms) - before <= 1


def test_a_gateway_has_nothing_that_could_send_sql(redis_url: str, tmp_path: Path) -> None:
    code = "import smartflow_site.asgi, sys; print(*sorted(m for m in ('psycopg', 'django') if m in sys.modules))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE")}
    environment |= {"SERVICE_TYPE": "gateway", "REDIS_URL": redis_url, "SMARTFLOW_VAR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

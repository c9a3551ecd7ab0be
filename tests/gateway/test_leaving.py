# SPDX-License-Identifier: Apache-2.0
"""Clients that leave: their provider's connection is freed, and what they used is recorded and charged."""

import asyncio
import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from apps.keys.domain import Budget
from tests.gateway.conftest import House, eventually, open_desk
from tests.gateway.desk import Desk
from tests.upstreams.running import Upstream

BUDGET = Budget(id="bgt_claims", name="Claims", limit=10_000_000)


@pytest.fixture(params=["house", "daphne_house"])
def desk(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[Desk]:
    """Dana's organisation with a budget, under both servers."""
    house: House = request.getfixturevalue(request.param)
    found = open_desk(house, upstream)
    found.world.add_key(found.second, budgets=(BUDGET,))
    yield found
    found.close()


def ask(desk: Desk, model: str, *, stream: bool) -> socket.socket:
    """A request on a connection of its own."""
    body = json.dumps(
        {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
    ).encode()
    url = httpx.URL(desk.server.url)
    connection = socket.create_connection((url.host, url.port or 80), timeout=60)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {desk.second}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def leave(connection: socket.socket, how: str) -> None:
    """Close, or only say that nothing more will be sent."""
    if how == "close":
        connection.close()
    else:
        connection.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("how", ["close", "half-close"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_its_provider_thinks(desk: Desk, stream: bool, how: str) -> None:
    model = desk.scripted("first=600000")
    before = desk.upstream.stats()["answering"]
    connection = ask(desk, model, stream=stream)
    eventually(lambda: desk.upstream.stats()["answering"] > before)

    leave(connection, how)

    eventually(lambda: len(desk.records()) == 1)
    eventually(lambda: [call["completed"] for call in desk.calls()] == [False])
    connection.close()
    (record,) = desk.records()
    assert (record["error_code"], record["verdict"], record["usage_source"]) == (
        "client_closed",
        "failed",
        "estimated",
    )
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["cancelled"]
    assert record["input_tokens"] > 0
    eventually(lambda: desk.world.spend(BUDGET) == {"held": 0, "spent": record["charged"]})


@pytest.mark.parametrize("how", ["close", "half-close"])
def test_a_client_that_leaves_in_the_middle_of_a_stream(desk: Desk, how: str) -> None:
    model = desk.scripted("endless=1;gap=2")
    connection = ask(desk, model, stream=True)
    seen = b""
    while b"word9 " not in seen:
        seen += connection.recv(65536)

    leave(connection, how)

    eventually(lambda: [call["completed"] for call in desk.calls()] == [False])
    connection.close()
    (record,) = desk.records()
    assert (record["error_code"], record["usage_source"]) == ("client_closed", "estimated")
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["cancelled"]
    assert record["output_tokens"] >= len("word0 " * 10) // 4
    eventually(lambda: desk.world.spend(BUDGET) == {"held": 0, "spent": record["charged"]})


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_200_streams_for_a_minute_lose_and_reorder_nothing(desk: Desk) -> None:
    model = desk.scripted("events=120;gap=500")
    expected = "".join(f"word{number} " for number in range(120))
    body = {
        "model": model,
        "stream": True,
        "temperature": 1,
        "messages": [{"role": "user", "content": "Hello"}],
    }

    async def one(client: httpx.AsyncClient) -> str:
        text = []
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    text += [choice["delta"].get("content", "") for choice in json.loads(line[6:])["choices"]]
        return "".join(text)

    limits = httpx.Limits(max_connections=200)
    headers = {"authorization": f"Bearer {desk.world.secret}"}
    async with httpx.AsyncClient(
        base_url=desk.server.url, headers=headers, timeout=120, limits=limits
    ) as client:
        texts = await asyncio.gather(*(one(client) for _ in range(200)))

    assert set(texts) == {expected}
    assert len([call for call in desk.calls() if call["completed"]]) == 200
    assert len(desk.records()) == 200

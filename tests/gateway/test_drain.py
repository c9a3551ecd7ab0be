# SPDX-License-Identifier: Apache-2.0
"""A gateway that is told to stop: unready at once, requests get their time, streams end with a word, all is settled."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apps.core import keyring
from apps.keys.domain import Budget
from tests.gateway.conftest import SECRET, Server, eventually, finish, start
from tests.gateway.world import World
from tests.upstreams.running import Upstream

BUDGET = Budget(id="bgt_claims", name="Claims", limit=10_000_000)


@pytest.fixture
def leaving(world: World, redis_url: str, ring: keyring.KeyRing, tmp_path: Path) -> Iterator[Server]:
    """A gateway whose requests get three seconds once it is told to stop, and a key with a budget."""
    world.add_key(SECRET, budgets=(BUDGET,))
    world.add_target(world.add_model("endless"), world.provider, "endless=1;gap=20")
    world.add_target(world.add_model("slow"), world.provider, "first=700")
    server = start(redis_url, ring, tmp_path, SMARTFLOW_DRAIN_DEADLINE_S="3", SMARTFLOW_DRAIN_WAIT_S="1")
    yield server
    finish(server)


def in_background(
    ask: object, *args: object, **named: object
) -> tuple[threading.Thread, list[httpx.Response]]:
    """Ask in a thread; the answer is in the list once it has ended."""
    found: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: found.append(ask(*args, **named)))  # type: ignore[operator]
    thread.start()
    return thread, found


def test_a_stream_without_end_ends_with_an_error_event(
    leaving: Server, world: World, upstream: Upstream
) -> None:
    before = upstream.stats()["answering"]
    thread, found = in_background(leaving.chat, "endless", stream=True)
    eventually(lambda: upstream.stats()["answering"] > before)

    leaving.process.send_signal(signal.SIGTERM)
    thread.join(60)
    leaving.process.wait(60)

    (answer,) = found
    blocks = answer.text.strip().split("\n\n")
    last = json.loads(blocks[-1].removeprefix("data: "))
    assert answer.status_code == 200
    assert last["error"]["code"] == "draining"
    record = leaving.record(answer)
    assert (record["error_code"], record["verdict"], record["usage_source"]) == (
        "draining",
        "failed",
        "estimated",
    )
    assert world.spend(BUDGET) == {"held": 0, "spent": record["charged"]}
    assert "Traceback" not in leaving.said()


def test_a_request_under_way_gets_its_answer(leaving: Server, world: World, upstream: Upstream) -> None:
    before = upstream.stats()["answering"]
    thread, found = in_background(leaving.chat, "slow")
    eventually(lambda: upstream.stats()["answering"] > before)

    leaving.process.send_signal(signal.SIGTERM)
    thread.join(60)
    leaving.process.wait(60)

    assert found[0].status_code == 200
    assert world.spend(BUDGET) == {"held": 0, "spent": leaving.record(found[0])["charged"]}


def test_a_process_that_is_told_to_stop_is_unready_and_takes_nothing_new(leaving: Server) -> None:
    leaving.process.send_signal(signal.SIGTERM)

    eventually(lambda: leaving.client.get("/readyz").json()["reason"] == "draining", 10)
    refused = leaving.chat()

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert refused.headers["retry-after"] == "1"
    leaving.process.wait(60)

# SPDX-License-Identifier: Apache-2.0
"""A budget that is used up refuses even what the cache could answer (docs/adr/025)."""

import time
from collections.abc import Callable

import msgspec
import pytest

from apps.keys.domain import Budget, Key
from tests.gateway.conftest import PATIENCE, Server
from tests.gateway.world import SECRET, World

WORDS = "The same words each time."


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("this did not come about")
        time.sleep(0.05)


def with_limit(key: Key, limit: int) -> Key:
    return msgspec.structs.replace(key, budgets=(Budget(id="bgt_b", name="Small", limit=limit),))


def test_a_caller_over_budget_gets_429_though_the_answer_is_stored(gateway: Server, world: World) -> None:
    def hit() -> bool:
        answer = gateway.chat(text=WORDS, temperature=0)
        return answer.headers.get("x-smartflow-cache-hit") == "exact"

    key = world.add_key(SECRET, budgets=with_limit(world.key, 10**6).budgets)
    eventually(hit)

    world.put_key(with_limit(key, 1))
    eventually(lambda: gateway.chat(text=WORDS, temperature=0).status_code == 429)
    refused = gateway.chat(text=WORDS, temperature=0)
    assert refused.json()["error"]["code"] == "budget_exceeded"

    world.put_key(with_limit(key, 10**6))
    eventually(hit)

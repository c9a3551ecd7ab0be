# SPDX-License-Identifier: Apache-2.0
"""One test per cell of docs/reference/degradation.md that a gateway decides; stores really go away."""

import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from apps.core import keyring, redis_names
from apps.keys.domain import Budget
from apps.policies.domain import Action
from smartflow_site.process import stop
from smartflow_site.stores import Valkey, run_store
from tests.gateway.conftest import PATIENCE, SECRET, Server, finish, start
from tests.gateway.world import World, connect
from tests.upstreams.running import Upstream

HARD, UNSEEN, SECOND = ("sk-sf-" + pair * 24 for pair in ("cd", "ef", "12"))
CARD = "Pay with 4111 1111 1111 1111 please."


@pytest.fixture(scope="module")
def outage_ring() -> keyring.KeyRing:
    return keyring.fresh()


def furnish(url: str, ring: keyring.KeyRing, upstream: Upstream) -> World:
    """An organisation with a plain key, one with a hard budget, one nobody used yet, and a policy."""
    world = World(connect(url), ring).begin(upstream.url)
    world.add_key(HARD, budgets=(Budget(id="bgt_hard", name="Hard", limit=1_000_000),))
    world.add_key(UNSEEN)
    world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.BLOCK)
    return world


def warm(server: Server) -> None:
    """Have the process see the two keys, and wait until its counters admit the hard one."""
    eventually(lambda: server.chat(text=f"warm {time.monotonic_ns()}").status_code == 200)
    eventually(lambda: chat(server, HARD).status_code == 200)


def chat(server: Server, secret: str, text: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"}
    words = text or f"Hello {time.monotonic_ns()}"
    body = {"model": "plain", "messages": [{"role": "user", "content": words}], "temperature": 0}
    return server.client.post("/v1/chat/completions", json=body, headers=headers)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def without_redis(
    tmp_path_factory: pytest.TempPathFactory, outage_ring: keyring.KeyRing, upstream: Upstream
) -> Iterator[Server]:
    """A gateway that served, and whose Redis was then killed."""
    folder = tmp_path_factory.mktemp("outage")
    store = Valkey(folder / "store", durable=False)
    process = run_store(store)
    try:
        furnish(store.url(), outage_ring, upstream).client.close()
        server = start(store.url(), outage_ring, folder / "gateway", SMARTFLOW_MAX_STALE_S="3600")
        try:
            warm(server)
            process.kill()
            process.wait()
            eventually(lambda: server.client.get("/readyz").json()["redis"] == "down")
            yield server
        finally:
            finish(server)
    finally:
        stop(process, signal.SIGKILL, 10)


def test_without_redis_key(without_redis: Server) -> None:
    unseen = chat(without_redis, UNSEEN)

    assert chat(without_redis, SECRET).status_code == 200
    assert unseen.status_code == 503
    assert int(unseen.headers["retry-after"]) > 0


def test_without_redis_budget(without_redis: Server) -> None:
    refused = chat(without_redis, HARD)

    assert code(refused) == (503, "admission_unavailable")
    assert int(refused.headers["retry-after"]) > 0


def test_without_redis_policy(without_redis: Server) -> None:
    assert code(chat(without_redis, SECRET, CARD)) == (403, "policy_blocked")


def test_without_redis_cache(without_redis: Server, upstream: Upstream) -> None:
    before = upstream.stats()["requests"]
    answers = [chat(without_redis, SECRET, "The same twice.") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert upstream.stats()["requests"] == before + 2


def test_without_redis_record(without_redis: Server) -> None:
    answer = chat(without_redis, SECRET)

    assert without_redis.record(answer)["status"] == 200


def test_without_redis_readiness(without_redis: Server) -> None:
    answer = without_redis.client.get("/readyz")

    assert (answer.status_code, answer.json()["redis"]) == (200, "down")


@pytest.mark.slow
def test_without_redis_readiness_ends(
    tmp_path: Path, outage_ring: keyring.KeyRing, upstream: Upstream
) -> None:
    store = Valkey(tmp_path / "store", durable=False)
    process = run_store(store)
    try:
        furnish(store.url(), outage_ring, upstream).client.close()
        server = start(store.url(), outage_ring, tmp_path / "gateway", SMARTFLOW_MAX_STALE_S="5")
        try:
            warm(server)
            process.kill()
            process.wait()
            eventually(lambda: server.client.get("/readyz").status_code == 503)
            assert code(chat(server, SECRET)) == (503, "snapshot_unavailable")
        finally:
            finish(server)
    finally:
        stop(process, signal.SIGKILL, 10)


@pytest.fixture(scope="module")
def furnished(
    valkey_server: str,
    tmp_path_factory: pytest.TempPathFactory,
    outage_ring: keyring.KeyRing,
    upstream: Upstream,
) -> Iterator[tuple[World, Path]]:
    """A published organisation in the worker's own Valkey, for gateways whose Redis stays."""
    client = connect(valkey_server)
    client.flushall()
    yield furnish(valkey_server, outage_ring, upstream), tmp_path_factory.mktemp("gateways")
    client.close()


@pytest.fixture(scope="module")
def without_postgresql(
    furnished: tuple[World, Path], valkey_server: str, outage_ring: keyring.KeyRing
) -> Iterator[Server]:
    """A gateway as it always is: it has no address of PostgreSQL, and nobody else here has one either."""
    server = start(valkey_server, outage_ring, furnished[1] / "plain")
    warm(server)
    yield server
    finish(server)


def test_without_postgresql_key(without_postgresql: Server, furnished: tuple[World, Path]) -> None:
    furnished[0].add_key(SECOND)

    assert chat(without_postgresql, SECRET).status_code == 200
    assert chat(without_postgresql, SECOND).status_code == 200
    assert chat(without_postgresql, "sk-sf-" + "99" * 24).status_code == 401


def test_without_postgresql_budget(without_postgresql: Server, furnished: tuple[World, Path]) -> None:
    answer = chat(without_postgresql, HARD)

    assert answer.status_code == 200
    assert float(answer.headers["x-smartflow-budget-limit"]) == 1.0


def test_without_postgresql_policy(without_postgresql: Server) -> None:
    assert code(chat(without_postgresql, SECRET, CARD)) == (403, "policy_blocked")


def test_without_postgresql_cache(without_postgresql: Server) -> None:
    words = f"Twice {time.monotonic_ns()}"
    first = chat(without_postgresql, SECRET, words)

    eventually(lambda: chat(without_postgresql, SECRET, words).headers["x-smartflow-cache-hit"] == "exact")
    assert chat(without_postgresql, SECRET, words).content == first.content


def test_without_postgresql_readiness(without_postgresql: Server) -> None:
    assert without_postgresql.client.get("/readyz").status_code == 200


def test_counters_not_rebuilt_budget(without_postgresql: Server, furnished: tuple[World, Path]) -> None:
    world = furnished[0]
    counters = redis_names.counters(world.org)
    world.client.delete(counters)
    try:
        assert code(chat(without_postgresql, HARD)) == (503, "admission_unavailable")
    finally:
        world.client.set(counters, world.epoch)


@pytest.fixture(scope="module")
def without_journal(
    furnished: tuple[World, Path], valkey_server: str, outage_ring: keyring.KeyRing
) -> Iterator[Server]:
    """A gateway whose files may grow no further: to the kernel that is a full disk."""
    server = start(valkey_server, outage_ring, furnished[1] / "process")
    warm(server)
    fill(server)
    yield server
    finish(server)


def fill(server: Server) -> None:
    """From now on every write to a file fails, for root as for anybody."""
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    chat(server, SECRET)
    assert server.client.get("/readyz").json()["journal"] == "failing"


def test_without_journal_key(without_journal: Server) -> None:
    assert chat(without_journal, SECRET).status_code == 200


def test_without_journal_budget(without_journal: Server, furnished: tuple[World, Path]) -> None:
    world, budget = furnished[0], Budget(id="bgt_hard", name="Hard", limit=1_000_000)
    before = world.spend(budget).get("spent", 0)

    assert chat(without_journal, HARD).status_code == 200
    eventually(lambda: world.spend(budget).get("spent", 0) > before)


def test_without_journal_policy(without_journal: Server) -> None:
    assert code(chat(without_journal, SECRET, CARD)) == (403, "policy_blocked")


def test_without_journal_cache(without_journal: Server) -> None:
    words = f"Twice {time.monotonic_ns()}"
    chat(without_journal, SECRET, words)

    eventually(lambda: chat(without_journal, SECRET, words).headers["x-smartflow-cache-hit"] == "exact")


def test_without_journal_record(
    furnished: tuple[World, Path], valkey_server: str, outage_ring: keyring.KeyRing
) -> None:
    server = start(valkey_server, outage_ring, furnished[1] / "later")
    try:
        warm(server)
        fill(server)
        during = chat(server, SECRET)
        known = {row["id"] for row in server.records()}
        assert during.status_code == 200
        assert during.headers["x-request-id"] not in known
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        eventually(lambda: during.headers["x-request-id"] in {row["id"] for row in server.records()})
    finally:
        finish(server)


def test_without_journal_readiness(without_journal: Server) -> None:
    answer = without_journal.client.get("/readyz")

    assert (answer.status_code, answer.json()["journal"]) == (200, "failing")


@pytest.fixture(scope="module")
def closed_without_journal(
    furnished: tuple[World, Path], valkey_server: str, outage_ring: keyring.KeyRing
) -> Iterator[Server]:
    server = start(valkey_server, outage_ring, furnished[1] / "closed", SMARTFLOW_JOURNAL_MODE="closed")
    warm(server)
    fill(server)
    yield server
    finish(server)


def test_closed_without_journal_record(closed_without_journal: Server) -> None:
    refused = chat(closed_without_journal, SECRET)

    assert code(refused) == (503, "record_unavailable")
    assert int(refused.headers["retry-after"]) > 0


def test_closed_without_journal_readiness(closed_without_journal: Server) -> None:
    assert closed_without_journal.client.get("/readyz").status_code == 503

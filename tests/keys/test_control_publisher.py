# SPDX-License-Identifier: Apache-2.0
"""The publisher as a process: what Redis loses comes back, what gateways ask is answered."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import InterfaceError, OperationalError, connection
from kombu.exceptions import OperationalError as QueueError

from apps.changes import publish
from apps.changes.domain import Role
from apps.changes.models import Outbox
from apps.core import redis_names
from apps.keys import services
from apps.keys.store import read_key
from apps.providers import services as catalogue
from smartflow_site import publishing
from smartflow_site.env import ROOT
from smartflow_site.process import stop
from smartflow_site.stores import Valkey, run_store
from tests.control import House, eventually, house

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(stores: Any, redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts publishers on the stores of this test, and ends them."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(**variables: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **stores.environment(), **variables}
        environment["DJANGO_SETTINGS_MODULE"] = "smartflow_site.settings"
        with (tmp_path / f"publisher-{len(running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "smartflow_site.publisher"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    yield begin
    for process in running:
        stop(process, signal.SIGTERM, 20)


@pytest.fixture
def store(redis_url: str) -> Iterator["redis.Redis"]:
    """This worker's Valkey."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def acme(stores: Any, redis_url: str) -> House:
    """An organisation with an engineer."""
    return house("Acme", Role.ENGINEER)


def issue(of: House, name: str = "Bot") -> Any:
    return services.issue_key(actor=of.actor(Role.ENGINEER), name=name, team_id=of.team_id)[0]


def contents(store: "redis.Redis", of: House) -> dict[str, Any]:
    """All that gateways would read of the organisation."""
    rooms = ("organisations", "providers", "models", "targets")
    found: dict[str, Any] = {room: store.hgetall(redis_names.room(of.id, room)) for room in rooms}
    keys = sorted(store.scan_iter(match=redis_names.key("*")))
    return found | {"keys": {name: store.get(name) for name in keys}}


def test_everything_comes_back_after_a_flush(acme: House, store: "redis.Redis", start: Start) -> None:
    issue(acme)
    catalogue.create_provider(actor=acme.actor(Role.ENGINEER), name="p", base_url="https://api.example.com")
    catalogue.create_model(actor=acme.actor(Role.ENGINEER), name="m")
    before = contents(store, acme)
    assert all(len(before[room]) == 1 for room in ("organisations", "providers", "models", "keys"))
    store.flushall()
    start()
    first = eventually(lambda: store.get(redis_names.EPOCH))
    assert contents(store, acme) == before
    assert store.smembers(redis_names.ORGANISATIONS) == {acme.id.encode()}
    store.flushall()
    second = eventually(lambda: store.get(redis_names.EPOCH))
    assert second != first
    assert contents(store, acme) == before


def test_what_is_asked_is_answered(acme: House, store: "redis.Redis", start: Start) -> None:
    known, nobody = issue(acme), "0" * 64
    start()
    eventually(lambda: store.get(redis_names.EPOCH))
    eventually(lambda: store.get(redis_names.key(known.digest)))
    eventually(lambda: not store.exists(redis_names.PUBLISHING))
    store.delete(redis_names.key(known.digest))
    listener = store.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(redis_names.EDITS)
    for asked in (b"\xff\xfe", b"x" * 10_000, known.digest, nobody):
        store.lpush(redis_names.ASKED, asked)
    raw = eventually(lambda: store.get(redis_names.key(known.digest)))
    key = read_key(raw)
    assert key is not None
    assert key.id == known.id
    assert read_key(eventually(lambda: store.get(redis_names.key(nobody)))) is None
    told: set[str] = set()

    def both() -> bool:
        message = listener.get_message(timeout=1)
        if message:
            told.add(json.loads(message["data"])["id"])
        return {known.digest, nobody} <= told

    eventually(both)
    assert store.llen(redis_names.ASKED) == 0
    listener.close()


def test_an_edit_that_found_no_redis_is_published_later(
    acme: House, store: "redis.Redis", start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = redis.Redis.from_url("redis://127.0.0.1:1/0")
    with monkeypatch.context() as patch:
        patch.setattr(publish, "client", lambda: gone)
        key = issue(acme)
    assert store.get(redis_names.key(key.digest)) is None
    assert Outbox.objects.filter(published_at=None, subject_id=key.id).count() == 1
    store.set(redis_names.EPOCH, "kept")
    start()
    eventually(lambda: store.get(redis_names.key(key.digest)))
    eventually(lambda: not Outbox.objects.filter(published_at=None).exists())


def test_several_copies_and_a_polite_end(acme: House, store: "redis.Redis", start: Start) -> None:
    issue(acme)
    before = contents(store, acme)
    store.flushall()
    copies = [start(), start()]
    eventually(lambda: store.get(redis_names.EPOCH))
    assert contents(store, acme) == before
    copies[0].send_signal(signal.SIGTERM)
    assert copies[0].wait(30) == 0
    store.flushall()
    eventually(lambda: store.get(redis_names.EPOCH))
    assert contents(store, acme) == before
    copies[1].send_signal(signal.SIGINT)
    assert copies[1].wait(30) == 0


def test_every_way_a_store_can_be_away_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[BaseException] = [
        redis.TimeoutError(), OperationalError(), InterfaceError(), QueueError(), redis.ConnectionError(), SystemExit(0)
    ]  # fmt: skip
    pauses: list[float] = []
    monkeypatch.setattr(publishing.time, "sleep", pauses.append)

    class Failing(publishing.Publisher):
        def round(self) -> None:
            raise faults.pop(0)

    with pytest.raises(SystemExit):
        publishing.run(Failing(redis.Redis()))
    assert pauses == [0.5, 1.0, 2.0, 5.0, 5.0]


@pytest.mark.fault
def test_outages_of_both_stores_are_survived(acme: House, stores: Any, start: Start, tmp_path: Path) -> None:
    issue(acme)
    valkey = Valkey(tmp_path / "v", durable=False)
    process = run_store(valkey)
    publisher = start(REDIS_URL=valkey.url())
    try:
        with redis.Redis.from_url(valkey.url()) as store:
            eventually(lambda: store.get(redis_names.EPOCH))
            process.kill()
            process.wait()
            log = tmp_path / "publisher-0.log"
            eventually(lambda: b"does not answer" in log.read_bytes())
            process = run_store(valkey)
            eventually(lambda: b"are back" in log.read_bytes())
            eventually(lambda: store.get(redis_names.EPOCH))
            # Ours would be ended too; Django opens a new one where it has closed the old one itself.
            connection.close()
            with psycopg.connect(stores.database_url, autocommit=True) as other:
                ended = other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user"
                ).fetchall()
            assert ended
            store.flushall()
            eventually(lambda: len(contents(store, acme)["keys"]) == 1)
        assert publisher.poll() is None
    finally:
        process.kill()
        process.wait()

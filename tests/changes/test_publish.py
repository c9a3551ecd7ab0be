# SPDX-License-Identifier: Apache-2.0
"""Publication: an edit reaches Redis as one message, in order, and everything can be written afresh."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from django.db import connections, transaction

from apps.changes import publish
from apps.changes.models import Outbox
from apps.changes.publish import Published
from apps.core import redis_names
from apps.core.django_redis_client import client as cached_client

ORG = "org_a"
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Room:
    """A room whose rows are a dictionary."""

    rows: dict[str, Published] = field(default_factory=dict)

    def put(self, identifier: str, value: bytes | None, organisation: str = ORG, digest: str = "") -> None:
        self.rows[identifier] = Published(organisation, identifier, value, digest)

    def one(self, identifier: str) -> Published | None:
        return self.rows.get(identifier)

    def all(self) -> list[Published]:
        return list(self.rows.values())


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setattr(publish, "_rooms", {"targets": (room.one, room.all)})
    return room


@pytest.fixture
def keys(targets: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setitem(publish._rooms, "keys", (room.one, room.all))
    return room


@pytest.fixture
def store(redis_url: str) -> Iterator["redis.Redis"]:
    cached_client.cache_clear()
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()
    cached_client.cache_clear()


@pytest.fixture
def unreachable(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    cached_client.cache_clear()
    yield
    cached_client.cache_clear()


def edit(identifier: str, room: str = "targets", **more: str | bytes) -> None:
    with transaction.atomic():
        publish.enqueue(room, ORG, identifier, **more)  # type: ignore[arg-type]


class Ear:
    """Somebody subscribed to the edits."""

    def __init__(self, store: "redis.Redis") -> None:
        self.channel = store.pubsub(ignore_subscribe_messages=True)
        self.channel.subscribe(redis_names.EDITS)
        while self.channel.get_message(timeout=5) is not None:
            pass

    def heard(self) -> list[dict[str, object]]:
        found = []
        while (message := self.channel.get_message(timeout=0.2)) is not None:
            found.append(json.loads(message["data"]))
        return found


class TestAnEdit:
    def test_it_is_in_redis_once_it_is_committed(self, store: "redis.Redis", targets: Room) -> None:
        ear = Ear(store)
        targets.put("tgt_1", b"one")
        with transaction.atomic():
            publish.enqueue("targets", ORG, "tgt_1")
            assert store.hgetall(redis_names.room(ORG, "targets")) == {}
        assert store.hgetall(redis_names.room(ORG, "targets")) == {b"tgt_1": b"one"}
        assert store.smembers(redis_names.ORGANISATIONS) == {ORG.encode()}
        assert store.hgetall(redis_names.versions(ORG)) == {b"targets": b"1"}
        assert ear.heard() == [
            {"v": 1, "room": "targets", "organisation_id": ORG, "id": "tgt_1", "version": 1}
        ]
        assert not Outbox.objects.filter(published_at=None).exists()

    def test_an_edit_that_is_rolled_back_is_never_heard_of(self, store: "redis.Redis", targets: Room) -> None:
        targets.put("tgt_1", b"one")
        with transaction.atomic():
            publish.enqueue("targets", ORG, "tgt_1")
            transaction.set_rollback(True)
        assert store.keys() == []
        assert not Outbox.objects.exists()

    def test_a_row_that_is_gone_leaves_the_hash(self, store: "redis.Redis", targets: Room) -> None:
        targets.put("tgt_1", b"one")
        edit("tgt_1")
        del targets.rows["tgt_1"]
        edit("tgt_1")
        assert store.hgetall(redis_names.room(ORG, "targets")) == {}
        assert store.hget(redis_names.versions(ORG), "targets") == b"2"

    def test_it_needs_a_transaction_and_a_known_room(self, targets: Room) -> None:
        with pytest.raises(RuntimeError, match="transaction"):
            publish.enqueue("targets", ORG, "tgt_1")
        with pytest.raises(LookupError, match="nothing"), transaction.atomic():
            publish.enqueue("nothing", ORG, "tgt_1")

    def test_without_redis_the_edit_stands_and_is_published_later(
        self, unreachable: None, redis_url: str, targets: Room
    ) -> None:
        targets.put("tgt_1", b"one")
        edit("tgt_1")
        edit("tgt_1")
        assert Outbox.objects.filter(published_at=None).count() == 2
        with redis.Redis.from_url(redis_url) as back:
            publish.drain(back)
            assert back.hgetall(redis_names.room(ORG, "targets")) == {b"tgt_1": b"one"}
            # Both notes were about one subject: one message.
            assert back.hget(redis_names.versions(ORG), "targets") == b"1"
            assert publish.drain(back) == 0

    def test_a_slow_publisher_never_overwrites_a_later_edit(
        self, store: "redis.Redis", targets: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        targets.put("tgt_1", b"old")
        has_read, may_go_on = threading.Event(), threading.Event()
        slow: list[int] = []

        def load(identifier: str) -> Published | None:
            value = targets.one(identifier)
            if threading.get_ident() in slow:
                has_read.set()
                assert may_go_on.wait(30)
            return value

        monkeypatch.setitem(publish._rooms, "targets", (load, targets.all))

        def first() -> None:
            slow.append(threading.get_ident())
            try:
                edit("tgt_1")
            finally:
                connections.close_all()

        def second() -> None:
            try:
                edit("tgt_1")
            finally:
                connections.close_all()

        old = threading.Thread(target=first)
        old.start()
        assert has_read.wait(30)
        targets.put("tgt_1", b"new")
        new = threading.Thread(target=second)
        new.start()
        new.join(0.5)
        # The second has to wait for the first: else "old" would be written after "new".
        assert new.is_alive()
        may_go_on.set()
        old.join(30)
        new.join(30)
        assert store.hget(redis_names.room(ORG, "targets"), "tgt_1") == b"new"


class TestKeys:
    def test_a_key_lives_under_its_digest(self, store: "redis.Redis", keys: Room) -> None:
        ear = Ear(store)
        keys.put("key_1", b"value", digest="d1")
        edit("key_1", "keys", digest="d1")
        assert store.get(redis_names.key("d1")) == b"value"
        assert store.ttl(redis_names.key("d1")) == -1
        assert [message["id"] for message in ear.heard()] == ["d1"]

    def test_a_deleted_key_is_said_to_be_gone_for_an_hour(self, store: "redis.Redis", keys: Room) -> None:
        keys.put("key_1", b"value", digest="d1")
        edit("key_1", "keys", digest="d1")
        del keys.rows["key_1"]
        edit("key_1", "keys", digest="d1", gone=b"absent")
        assert store.get(redis_names.key("d1")) == b"absent"
        assert 0 < store.ttl(redis_names.key("d1")) <= publish.GONE_SECONDS

    def test_a_new_secret_ends_the_old_digest(self, store: "redis.Redis", keys: Room) -> None:
        keys.put("key_1", b"value", digest="d1")
        edit("key_1", "keys", digest="d1")
        keys.put("key_1", b"value 2", digest="d2")
        edit("key_1", "keys", digest="d1", gone=b"absent")
        assert store.get(redis_names.key("d1")) == b"absent"
        assert store.get(redis_names.key("d2")) == b"value 2"


class TestEverything:
    def test_redis_holds_what_the_rows_say_and_nothing_else(
        self, store: "redis.Redis", targets: Room, keys: Room
    ) -> None:
        store.hset(redis_names.room(ORG, "targets"), "tgt_old", b"stale")
        store.hset(redis_names.room("org_gone", "targets"), "tgt_x", b"stale")
        store.sadd(redis_names.ORGANISATIONS, "org_gone")
        store.set(redis_names.key("d_old"), b"stale")
        targets.put("tgt_1", b"one")
        targets.put("tgt_2", b"two", organisation="org_b")
        keys.put("key_1", b"value", digest="d1")
        ear = Ear(store)
        publish.publish_everything(store)
        assert store.hgetall(redis_names.room(ORG, "targets")) == {b"tgt_1": b"one"}
        assert store.hgetall(redis_names.room("org_b", "targets")) == {b"tgt_2": b"two"}
        assert not store.exists(redis_names.room("org_gone", "targets"))
        assert store.smembers(redis_names.ORGANISATIONS) == {b"org_a", b"org_b"}
        assert store.get(redis_names.key("d1")) == b"value"
        assert not store.exists(redis_names.key("d_old"))
        assert [message["room"] for message in ear.heard()] == ["*"]

    def test_the_epoch_is_new_only_when_it_was_lost(self, store: "redis.Redis", targets: Room) -> None:
        publish.publish_everything(store)
        first = store.get(redis_names.EPOCH)
        publish.publish_everything(store)
        assert store.get(redis_names.EPOCH) == first
        store.flushall()
        publish.publish_everything(store)
        assert store.get(redis_names.EPOCH) not in (None, first)

    def test_notes_that_it_covers_are_done(self, unreachable: None, redis_url: str, targets: Room) -> None:
        targets.put("tgt_1", b"one")
        edit("tgt_1")
        with redis.Redis.from_url(redis_url) as back:
            publish.publish_everything(back)
        assert not Outbox.objects.filter(published_at=None).exists()

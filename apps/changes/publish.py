# SPDX-License-Identifier: Apache-2.0
"""From rows to Redis: each edit is one small message, and everything can be published afresh.

Order is held by PostgreSQL: whoever publishes a subject first takes its lock, then reads the row. So the last
one to publish has read the newest committed row, and a full publication never overwrites a later edit.
"""

import functools
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import redis
from django.db import connection, transaction

from apps.changes.models import Outbox
from apps.core import clock, redis_names
from apps.core.django_redis_client import client

LoadOne = Callable[[str], "Published | None"]
LoadAll = Callable[[], Iterable["Published"]]
Followers = Callable[[str, str], Iterable[str]]

GONE_SECONDS = 3600
KEPT = timedelta(days=1)
_EVERYTHING = 7_203_401  # the advisory lock that single edits share and a full publication holds alone
_KEYS_PER_BATCH = 500
_log = logging.getLogger(__name__)
_rooms: dict[str, tuple[LoadOne, LoadAll]] = {}
_followers: dict[str, dict[str, Followers]] = {}


@dataclass(frozen=True, slots=True)
class Published:
    """A room's value as gateways read it; None means gone. `digest` is only for keys."""

    organisation_id: str
    id: str
    value: bytes | None
    digest: str = ""


def register(room: str, load_one: LoadOne, load_all: LoadAll) -> None:
    """Say how a room's values are read; called once, when the room's app is ready."""
    _rooms[room] = (load_one, load_all)


def follow(room: str, leader: str, those: Followers) -> None:
    """Let each edit of a subject of `leader` publish rows of `room` too: `those` names them for (organisation, id)."""
    _followers.setdefault(leader, {})[room] = those


def enqueue(
    room: str, organisation_id: str, subject_id: str, digest: str = "", gone: bytes | None = None
) -> None:
    """Note an edit in its own transaction and publish it as soon as that commits.

    `gone` is what to publish for an hour under `digest` once no row carries that digest any more.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("An edit is noted in its own transaction, and there is none.")
    if room not in _rooms:
        raise LookupError(f"no room publishes {room}")
    row = Outbox.objects.create(
        room=room, organisation_id=organisation_id, subject_id=subject_id, digest=digest, gone=gone
    )
    transaction.on_commit(functools.partial(_push_now, row), robust=True)
    for follower, those in _followers.get(room, {}).items():
        for found in those(organisation_id, subject_id):
            enqueue(follower, organisation_id, found)


def push(row: Outbox, redis_client: "redis.Redis | None" = None) -> None:
    """Publish the present value of the row's subject; every note of the same subject is then done."""
    store = redis_client or client()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_EVERYTHING])
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"publish {row.room} {row.subject_id}"]
        )
        same = Outbox.objects.filter(
            room=row.room, subject_id=row.subject_id, digest=row.digest, published_at=None
        )
        done = list(same.values_list("pk", flat=True))
        if not done:
            return
        _write(store, row, _rooms[row.room][0](row.subject_id))
        Outbox.objects.filter(pk__in=done).update(published_at=clock.now())


def drain(redis_client: "redis.Redis | None" = None, most: int = 1000) -> int:
    """Publish what is left, oldest first; returns how many notes were taken. Stops at the first Redis fault."""
    waiting = list(Outbox.objects.filter(published_at=None).order_by("pk")[:most])
    for row in waiting:
        push(row, redis_client)
    Outbox.objects.filter(published_at__lt=clock.now() - KEPT).delete()
    return len(waiting)


def publish_everything(redis_client: "redis.Redis") -> None:
    """Write every room's values afresh, then tell gateways by a new epoch if there is none, and one message.

    One process at a time: the lock is PostgreSQL's, so that a flushed Redis cannot lose it;
    `redis_names.PUBLISHING` is set meanwhile for people who look.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_EVERYTHING])
        redis_client.set(redis_names.PUBLISHING, "1", ex=60)
        notes = list(Outbox.objects.filter(published_at=None).values_list("pk", flat=True))
        hashes: dict[tuple[str, str], dict[str, bytes]] = defaultdict(dict)
        written: set[bytes] = set()
        organisations: set[str] = set()
        for room, (_, load_all) in _rooms.items():
            keys: list[Published] = []
            for value in load_all():
                organisations.add(value.organisation_id)
                if value.digest:
                    keys.append(value)
                elif value.value is not None:
                    hashes[value.organisation_id, room][value.id] = value.value
                if len(keys) >= _KEYS_PER_BATCH:
                    written |= _write_keys(redis_client, keys)
                    keys.clear()
            written |= _write_keys(redis_client, keys)
        _replace_hashes(redis_client, hashes, organisations)
        _forget_keys(redis_client, written)
        redis_client.set(redis_names.EPOCH, secrets.token_hex(8), nx=True)
        redis_client.publish(redis_names.EDITS, _edit("*", "", "", 0))
        redis_client.delete(redis_names.PUBLISHING)
        # Single notes of keys say what became of old digests, which a full publication forgot anyway.
        Outbox.objects.filter(pk__in=notes, digest="").update(published_at=clock.now())


def _push_now(row: Outbox) -> None:
    """The first try, right after commit; what fails here is published by `drain`."""
    try:
        push(row)
    except redis.RedisError as fault:
        _log.warning("edit of %s %s waits for Redis: %s", row.room, row.subject_id, type(fault).__name__)


def _write(store: "redis.Redis", row: Outbox, value: Published | None) -> None:
    """One transaction in Redis: the value, the version, the organisation; then the message."""
    organisation = row.organisation_id
    pipe = store.pipeline(transaction=True)
    pipe.hincrby(redis_names.versions(organisation), row.room, 1)
    pipe.sadd(redis_names.ORGANISATIONS, organisation)
    told = [row.subject_id]
    if row.digest or (value and value.digest):
        told = _queue_key(pipe, row, value)
    elif value is None or value.value is None:
        pipe.hdel(redis_names.room(organisation, row.room), row.subject_id)
    else:
        pipe.hset(redis_names.room(organisation, row.room), row.subject_id, value.value)
    version = int(pipe.execute()[0])
    for name in told:
        store.publish(redis_names.EDITS, _edit(row.room, organisation, name, version))


def _queue_key(pipe: "redis.client.Pipeline", row: Outbox, value: Published | None) -> list[str]:
    """Put a key under its digest, and say of the note's digest that it is gone if the key has another now."""
    told = []
    if value is not None and value.value is not None and value.digest:
        pipe.set(redis_names.key(value.digest), value.value)
        told.append(value.digest)
    if row.digest and row.digest not in told:
        if row.gone is None:
            pipe.delete(redis_names.key(row.digest))
        else:
            pipe.set(redis_names.key(row.digest), bytes(row.gone), ex=GONE_SECONDS)
        told.append(row.digest)
    return told


def _write_keys(store: "redis.Redis", keys: list[Published]) -> set[bytes]:
    """Write a batch of keys; returns their names in Redis."""
    pipe = store.pipeline(transaction=False)
    names = set()
    for key in keys:
        if key.value is not None:
            pipe.set(redis_names.key(key.digest), key.value)
            names.add(redis_names.key(key.digest).encode())
    pipe.execute()
    return names


def _replace_hashes(
    store: "redis.Redis", hashes: dict[tuple[str, str], dict[str, bytes]], organisations: set[str]
) -> None:
    """Make each room's hash of each organisation, known to Redis or to us, exactly what the rows say."""
    known = {_text(name) for name in store.smembers(redis_names.ORGANISATIONS)} | organisations
    for organisation in sorted(known):
        pipe = store.pipeline(transaction=True)
        for room in _rooms:
            name = redis_names.room(organisation, room)
            pipe.delete(name)
            for identifier, value in hashes.get((organisation, room), {}).items():
                pipe.hset(name, identifier, value)
            pipe.hincrby(redis_names.versions(organisation), room, 1)
        if organisation in organisations:
            pipe.sadd(redis_names.ORGANISATIONS, organisation)
        else:
            pipe.srem(redis_names.ORGANISATIONS, organisation)
        pipe.execute()


def _forget_keys(store: "redis.Redis", written: set[bytes]) -> None:
    """Remove keys that no row stands for; gateways then ask, and are told."""
    stale: Iterator[bytes] = (
        name for name in store.scan_iter(match=redis_names.key("*"), count=1000) if name not in written
    )
    for name in stale:
        store.delete(name)


def _edit(room: str, organisation_id: str, subject: str, version: int) -> bytes:
    return msgspec.json.encode(
        {"v": 1, "room": room, "organisation_id": organisation_id, "id": subject, "version": version}
    )


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name

# SPDX-License-Identifier: Apache-2.0
"""The keys a process knows: a bounded map by digest with absences, per-key flood buckets and shares."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic

from apps.core import redis_names
from apps.core.limits import MAX_KEYS
from apps.core.redis import Redis, RedisDown
from apps.keys.domain import Key
from apps.keys.store import read_key

ABSENT_SECONDS = 5.0
ASK_SECONDS = 0.5
ASKS_PER_SECOND = 50
FLOOD_FACTOR = 4
FLOOD_LEAST = 200
MAX_BUCKETS = 50_000


class Missing:
    """The answer "not in memory": it must be loaded."""


MISSING = Missing()


@dataclass(slots=True)
class _Entry:
    key: Key | None
    until: float
    stale: bool = False


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float

    def take(self, per_second: float, most: float) -> float:
        """Take one token; seconds to wait when there is none."""
        moment = monotonic()
        self.tokens = min(most, self.tokens + (moment - self.at) * per_second)
        self.at = moment
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / per_second


class KeyBook:
    """Never copied whole: an edit marks one entry, the next use loads it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._floods: OrderedDict[str, _Bucket] = OrderedDict()
        self._shares: OrderedDict[str, _Bucket] = OrderedDict()
        self._asks = _Bucket(ASKS_PER_SECOND, monotonic())
        self._marks = 0
        self.processes = 1

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, digest: str) -> Key | Missing | None:
        """The key as memory knows it; a stale entry still serves while Redis cannot be asked."""
        entry = self._entries.get(digest)
        if entry is None or (entry.key is None and entry.until < monotonic()):
            return MISSING
        if entry.stale and self._redis.up:
            return MISSING
        return entry.key

    async def load(self, digest: str) -> Key | None:
        """The key from Redis; where Redis does not know it, control is asked once and waited for briefly.

        RedisDown where nobody can know; a key that memory holds is served on then.
        """
        marks = self._marks
        raw = await self._redis.command("GET", redis_names.key(digest))
        if raw is None and not self._asks.take(ASKS_PER_SECOND, ASKS_PER_SECOND):
            await self._ask(digest)
            marks = self._marks
            raw = await self._redis.command("GET", redis_names.key(digest))
        if raw is None and not await self._redis.command("EXISTS", redis_names.EPOCH):
            # Redis forgot everything: that it does not know the key says nothing about the key.
            entry = self._entries.get(digest)
            if entry is None or entry.key is None:
                raise RedisDown("nothing is published at the moment")
            return entry.key
        key = None if raw is None else read_key(raw)
        # An edit that was told while the value was on its way may be newer than the value.
        self._remember(digest, key, stale=marks != self._marks)
        return key

    def mark(self, digest: str) -> None:
        """An edit was published: the next use loads the key again."""
        self._marks += 1
        entry = self._entries.get(digest)
        if entry is not None:
            entry.stale = True
            if entry.key is None:
                del self._entries[digest]
        waiting = self._waiting.pop(digest, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def mark_all(self, organisation_id: str = "") -> None:
        """Edits may have been missed: every key, of one organisation or of all, is loaded again on its next use."""
        self._marks += 1
        for entry in self._entries.values():
            if not organisation_id or entry.key is None or entry.key.organisation_id == organisation_id:
                entry.stale = True

    def flood_wait(self, key: Key) -> int:
        """Whole seconds a flooding key has to wait in this process, else 0; needs no I/O."""
        per_minute = key.requests_per_minute
        most = FLOOD_LEAST * 50 if per_minute is None else max(FLOOD_LEAST, per_minute * FLOOD_FACTOR)
        per_second = most / 10 if per_minute is None else max(FLOOD_LEAST, per_minute * FLOOD_FACTOR) / 60
        wait = self._bucket(self._floods, key.id, most).take(per_second, most)
        return int(wait) + 1 if wait else 0

    def share(self, key: Key) -> bool:
        """Whether the key may go on with this process's part of its limit while nobody can count."""
        if key.requests_per_minute is None:
            return True
        most = max(1.0, key.requests_per_minute / max(1, self.processes))
        return not self._bucket(self._shares, key.id, most).take(most / 60, most)

    async def _ask(self, digest: str) -> None:
        waiting = self._waiting.get(digest)
        if waiting is None:
            waiting = self._waiting[digest] = asyncio.get_running_loop().create_future()
            pushed = self._redis.command("LPUSH", redis_names.ASKED, digest)
            trimmed = self._redis.command("LTRIM", redis_names.ASKED, 0, redis_names.ASKED_MOST - 1)
            await asyncio.gather(pushed, trimmed)
        try:
            await asyncio.wait_for(asyncio.shield(waiting), ASK_SECONDS)
        except TimeoutError:
            self._waiting.pop(digest, None)

    def _remember(self, digest: str, key: Key | None, *, stale: bool) -> None:
        self._entries[digest] = _Entry(key, monotonic() + ABSENT_SECONDS, stale)
        self._entries.move_to_end(digest)
        while len(self._entries) > MAX_KEYS:
            self._entries.popitem(last=False)

    def _bucket(self, buckets: OrderedDict[str, _Bucket], key_id: str, most: float) -> _Bucket:
        bucket = buckets.get(key_id)
        if bucket is None:
            bucket = buckets[key_id] = _Bucket(most, monotonic())
            if len(buckets) > MAX_BUCKETS:
                buckets.popitem(last=False)
        return bucket

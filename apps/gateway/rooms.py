# SPDX-License-Identifier: Apache-2.0
"""What a gateway process holds: its connections, what it knows, and the exchanges under way."""

import asyncio
import contextlib
import gc
import json
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis

from apps.analytics.metrics import Metrics
from apps.audit.journal import Journal, Mode
from apps.core import clock, http, ids, redis_names
from apps.core.keyring import KeyRing
from apps.core.limits import LEASE_RENEW_SECONDS, LEASE_SECONDS
from apps.core.redis import Redis, RedisDown
from apps.gateway.snapshot import Snapshot
from apps.gateway.under_way import UnderWay
from apps.keys import stage as keys
from apps.keys.book import KeyBook
from apps.keys.store import SCRIPTS
from apps.vectors.embedder import Embedder

TICK_SECONDS = 1.0
log = logging.getLogger(__name__)
# So long a fresh process waits for counters before it serves those who need none.
COUNT_TICKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a gateway process; the composition root fills them from the environment."""

    redis_url: str = field(repr=False)
    ring: KeyRing
    var: Path
    role: str = "gateway"
    journal_mode: Mode = "process"
    max_stale_s: int = 600
    max_body_bytes: int = 16 * 1024 * 1024
    upstream_client: str = "aiohttp"
    outbound_allow: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    drain_deadline_s: int = 30


class Rooms:
    """Everything the pipeline is handed; made at once, started on first use, stopped when the server ends."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ring = config.ring
        self.lease = ids.new("ls")
        self.under_way = UnderWay()
        self.redis = Redis(config.redis_url, scripts=SCRIPTS)
        self.book = KeyBook(self.redis)
        self.snapshot = Snapshot(
            self.redis, self.ring, on_key=self.book.mark, on_keys=self.book.mark_all, on_epoch=self._new_epoch
        )
        self.client = http.client(config.upstream_client, config.outbound_allow)
        # Reads its model with the first text it is given.
        self.embedder = Embedder()
        self.metrics = Metrics(config.var / "metrics", config.role)
        self.journal: Journal | None = None
        self.draining = False
        self._edits = Redis(config.redis_url, channel=redis_names.EDITS, on_message=self.snapshot.on_message)
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self.started = False
        self._retry = asyncio.Event()
        self._waited_for_counters = 0

    async def start(self) -> None:
        """Open the journal and connect; safe to call at every request, does its work once."""
        if self.started:
            return
        async with self._starting:
            if self.started:
                return
            self.journal = Journal(self.config.var / "journal", self.lease, self.config.journal_mode)
            self.redis.on_up = self._redis_up
            self._edits.on_up = self._subscribed
            await asyncio.gather(self.redis.start(), self._edits.start())
            with contextlib.suppress(RedisDown, hiredis.ReplyError):
                await self._renew_lease()
                await self.snapshot.poll()
            for work in (self.snapshot.follow, self._keep_lease, self._settle_rest, self._tick):
                self._tasks.append(asyncio.create_task(self._kept(work)))
            self.started = True
            # What was loaded stays: the collector need not look at it again. A request leaves no cycles worth a
            # look every 700 objects; a rarer one costs a tenth less (docs/benchmarks.md).
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)

    async def stop(self) -> None:
        """Settle what can be settled, give the lease up, close everything."""
        if not self.started:
            return
        with contextlib.suppress(RedisDown, hiredis.ReplyError, TimeoutError):
            await asyncio.wait_for(self._settle_once(), 5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(RedisDown, hiredis.ReplyError):
            await asyncio.gather(
                self.redis.command("DEL", redis_names.lease(self.lease)),
                self.redis.command("HDEL", redis_names.LEASES, self.lease),
            )
        await asyncio.gather(self.client.close(), self.redis.stop(), self._edits.stop())
        if self.journal is not None:
            await asyncio.to_thread(self.journal.close)
        await asyncio.to_thread(self.embedder.close)
        self.metrics.close()

    def begin_drain(self) -> None:
        """Readiness goes off; streams that outlast the deadline are ended with an error event of their own."""
        self.draining = True
        with contextlib.suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            loop.call_later(max(0.5, self.config.drain_deadline_s - 2), self.under_way.cut_all, "drain")

    def retry_settling(self) -> None:
        """Something could not be settled: try again soon."""
        self._retry.set()

    def not_ready(self) -> str:
        """Why this process should get no requests, empty when it should."""
        if self.draining:
            return "draining"
        if not self.started:
            return "starting"
        if self.snapshot.age > self.config.max_stale_s:
            return "no current configuration"
        if not self.snapshot.counted and self._waited_for_counters < COUNT_TICKS:
            return "counters are being rebuilt"
        if self.journal is not None and self.config.journal_mode == "closed" and self.journal.state != "ok":
            return "the journal cannot be written"
        return ""

    async def _kept(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a background duty for as long as the process lives; a fault in one round must not end it."""
        while True:
            try:
                await work()
            except (RedisDown, hiredis.ReplyError, TimeoutError):
                await asyncio.sleep(TICK_SECONDS)
            except Exception:
                log.exception("A duty of the gateway failed and is tried again: %s", work.__name__)
                self.metrics.count("internal_errors")
                await asyncio.sleep(TICK_SECONDS)

    async def _keep_lease(self) -> None:
        while True:
            await self._renew_lease()
            count = await self.redis.command("HLEN", redis_names.LEASES)
            self.book.processes = max(1, int(count))
            await asyncio.sleep(LEASE_RENEW_SECONDS)

    async def _renew_lease(self) -> None:
        """Say that this process lives, which epoch it knows, and how far its journal is written."""
        position = self.journal.position if self.journal is not None else 0
        state = {"epoch": self.snapshot.epoch, "position": position, "at": clock.now_ms(), "pid": os.getpid()}
        await asyncio.gather(
            self.redis.command("SET", redis_names.lease(self.lease), "1", "EX", LEASE_SECONDS),
            self.redis.command("HSET", redis_names.LEASES, self.lease, json.dumps(state)),
        )

    async def _new_epoch(self, epoch: str) -> None:
        """Redis was published anew: what is under way is registered again, then acknowledged for the rebuild."""
        self.book.mark_all()
        await keys.reopen(self.redis, self.under_way.forget_settled_and_list_open())
        await self._renew_lease()

    def _redis_up(self) -> None:
        self.book.mark_all()
        self.snapshot.look_again()
        self._retry.set()

    def _subscribed(self) -> None:
        # Between two subscriptions messages were lost.
        self.book.mark_all()
        self.snapshot.look_again()

    async def _settle_rest(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._retry.wait(), 5)
            self._retry.clear()
            await self._settle_once()

    async def _settle_once(self) -> None:
        for admission, charged in self.under_way.unsettled():
            if admission.open is None:
                continue
            if admission.guessed:
                # The store never heard of it: it is told now, then settled like any other.
                await keys.reopen(self.redis, [(admission.open, admission.windows)])
                admission.guessed = False
            await keys.settle(self.redis, admission.open, charged)
            self.under_way.settled(admission.open.id)

    async def _tick(self) -> None:
        """Once a second: keep silent streams alive and publish this process's figures."""
        while True:
            self.under_way.keep_alive()
            self._waited_for_counters += 1
            self.metrics.gauge("snapshot_age_seconds", min(self.snapshot.age, 1e9))
            self.metrics.gauge("redis_up", float(self.redis.up))
            self.metrics.gauge("exchanges_under_way", float(len(self.under_way)))
            self.metrics.gauge("streams_open", float(self.under_way.streams))
            if self.journal is not None:
                self.metrics.gauge("journal_behind_lines", float(self.journal.behind))
                self.metrics.gauge("journal_failures", float(self.journal.failures))
            await asyncio.sleep(TICK_SECONDS)

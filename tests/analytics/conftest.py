# SPDX-License-Identifier: Apache-2.0
"""An organisation with one hard budget, a real store, and gateway processes as far as counters see them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from apps.audit import journal
from apps.audit.domain import Record, State, encode_record
from apps.audit.journal import Journal
from apps.audit.shipper import Shipper
from apps.changes.domain import system
from apps.core import clock, ids, redis_names
from apps.core.redis import Redis
from apps.identity.services import create_organisation
from apps.keys.domain import Assurance, Budget, Caller, Key, OpenRecord, Window
from apps.keys.selectors import budgets
from apps.keys.services import create_budget
from apps.keys.store import SCRIPTS, Reservation, admit, reopen, settle_sync
from tests.conftest import Stores

TABLES = "audit_record, audit_body, audit_shipped, audit_open, audit_total, audit_spend, audit_correction"
RESERVED = 5000
CHARGED = 1234


@dataclass
class World:
    """One organisation; `client` is the store as control sees it."""

    client: Any
    url: str
    database_url: str
    journals: Path
    organisation_id: str
    budget: Budget
    database: Any
    leases: list["Process"] = field(default_factory=list)

    def publish(self, epoch: str) -> None:
        """What the publisher leaves behind."""
        self.client.sadd(redis_names.ORGANISATIONS, self.organisation_id)
        self.client.set(redis_names.EPOCH, epoch)

    def built(self, epoch: str = "e1") -> None:
        """Counters of this epoch."""
        self.publish(epoch)
        self.client.set(redis_names.counters(self.organisation_id), epoch)

    def process(self) -> "Process":
        """A gateway process that has said what it has open."""
        found = Process(self, Journal(self.journals, ids.new("ls")))
        self.leases.append(found)
        found.says_it_lives()
        return found

    def ship(self) -> None:
        """All journals, to their end."""
        stop = threading.Event()
        stop.set()
        Shipper(self.database_url, self.journals).run(stop)

    @property
    def spend(self) -> dict[str, int]:
        """The budget's fields of the current window, by name."""
        raw = self.client.hgetall(redis_names.spend(self.organisation_id, self.budget.id))
        return {name.decode().partition(":")[2]: int(value) for name, value in raw.items()}

    @property
    def counters(self) -> str:
        """The epoch the counters were built for."""
        return (self.client.get(redis_names.counters(self.organisation_id)) or b"").decode()

    def states(self) -> dict[str, tuple[str, int]]:
        """Record id -> state and charge, of all records."""
        rows = self.database.execute("SELECT id, state, charged FROM audit_record")
        return {row[0]: (row[1], row[2]) for row in rows}


@dataclass
class Process:
    """A gateway process: its lease, its journal, the two scripts it calls."""

    world: World
    book: Journal

    @property
    def lease(self) -> str:
        return self.book.lease

    def says_it_lives(self) -> None:
        """Renews its lease and acknowledges the epoch in force."""
        client = self.world.client
        epoch = (client.get(redis_names.EPOCH) or b"").decode()
        said = {"epoch": epoch, "position": self.book.position, "at": clock.now_ms()}
        client.set(redis_names.lease(self.lease), "1", ex=30)
        client.hset(redis_names.LEASES, self.lease, json.dumps(said))

    def dies(self) -> None:
        """Its lock goes with it, its lease runs out."""
        self.book.close()
        self.world.client.delete(redis_names.lease(self.lease))

    def admits(self) -> OpenRecord:
        """One exchange, through the admission script."""
        world = self.world
        record = OpenRecord(
            id=ids.new("req"), organisation_id=world.organisation_id, key_id="key_a", person_name="Anna Berg",
            model="small", lease=self.lease, budget_ids=(world.budget.id,), reserved=RESERVED,
        )  # fmt: skip
        answer = asyncio.run(self._admitted(record))
        assert answer[0] == b"ok", answer
        return record

    def journals(self, record: OpenRecord, charged: int = CHARGED) -> None:
        """The end of an exchange, as its record."""
        done = Record(
            id=record.id, organisation_id=record.organisation_id, state=State.DONE, key_id="key_a", model="small",
            status=200, charged=charged, reserved=RESERVED, budget_ids=record.budget_ids, lease=self.lease,
        )  # fmt: skip
        self.book.write(journal.DONE, encode_record(done))

    def settles(self, record: OpenRecord, charged: int = CHARGED) -> bool:
        """The charge of an exchange."""
        return settle_sync(self.world.client, record, charged)

    def tells(self, record: Record) -> OpenRecord:
        """Registers a guessed exchange once the store is back."""
        opened = OpenRecord(
            id=record.id, organisation_id=record.organisation_id, key_id="key_a", lease=self.lease,
            budget_ids=record.budget_ids, reserved=record.reserved,
        )  # fmt: skip
        asyncio.run(self._told(opened))
        return opened

    def serves(self, charged: int = CHARGED) -> OpenRecord:
        """A whole exchange."""
        record = self.admits()
        self.journals(record, charged)
        assert self.settles(record, charged)
        return record

    async def _told(self, record: OpenRecord) -> None:
        store = Redis(self.world.url, scripts=SCRIPTS)
        await store.start()
        try:
            assert await reopen(store, record, [0])
        finally:
            await store.stop()

    async def _admitted(self, record: OpenRecord) -> Any:
        world = self.world
        key = Key(
            id="key_a", organisation_id=world.organisation_id, organisation_name="Alder Bank", digest="d",
            name="a", hint="a", budgets=(world.budget,),
        )  # fmt: skip
        store = Redis(world.url, scripts=SCRIPTS)
        await store.start()
        try:
            caller = Caller(key, Assurance.APPLICATION, "Anna Berg")
            epoch = (world.client.get(redis_names.EPOCH) or b"").decode()
            return await admit(store, caller, Reservation(record, epoch, "c", False))
        finally:
            await store.stop()


@pytest.fixture
def world(
    redis_url: str,
    stores: Stores,
    transactional_db: None,
    tmp_path: Path,
    make_budget: Callable[[str], Budget],
) -> Iterator[World]:
    """Alder Bank with a hard budget of 100 dollars."""
    with psycopg.connect(stores.database_url, autocommit=True) as database:
        database.execute(f"TRUNCATE {TABLES}")
        database.execute("SELECT set_config('smartflow.organisation', '*', false)")
        row = create_organisation(actor=system(""), name="Alder Bank")
        client = redis.Redis.from_url(redis_url)
        client.flushall()
        found = World(
            client=client,
            url=redis_url,
            database_url=stores.database_url,
            journals=tmp_path / "journal",
            organisation_id=row.pk,
            budget=make_budget(row.pk),
            database=database,
        )
        yield found
        for process in found.leases:
            process.book.close()
        client.close()
        database.execute(f"TRUNCATE {TABLES}")


@pytest.fixture
def make_budget() -> Callable[[str], Budget]:
    """A hard budget of an organisation."""

    def make(organisation_id: str) -> Budget:
        create_budget(
            actor=system(organisation_id), name="All", window=Window.LIFETIME.value, limit_micro=100_000_000
        )
        [found] = budgets(organisation_id)
        return found

    return make

# SPDX-License-Identifier: Apache-2.0
"""Partitions are there ahead of time, and what had none is moved into one while records keep coming."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit import journal, tasks
from apps.audit.domain import Record, encode_record
from apps.audit.journal import Journal
from apps.audit.locks import only_one
from apps.audit.shipper import Shipper
from apps.core import clock, ids
from apps.core.tenancy import EVERYONE
from apps.notify.models import Notice
from tests.conftest import Stores

Connection = psycopg.Connection[Any]
Make = Callable[..., Record]
FAR = 40
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


@pytest.fixture
def owner(database: Connection, stores: Stores) -> Iterator[Connection]:
    """The role that owns the tables; partitions that a test adds are gone afterwards."""
    with psycopg.connect(stores.database_owner_url, autocommit=True) as connection:
        before = set(partitions(connection))
        yield connection
        database.execute("TRUNCATE audit_record, audit_body")
        for name in set(partitions(connection)) - before:
            connection.execute(f"DROP TABLE {name}")
        tasks.ensure_partitions()


def partitions(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent IN ('audit_record'::regclass, 'audit_body'::regclass)"
    )
    return [row[0] for row in rows]


def far_id(days: int = FAR) -> str:
    return ids.at("req", clock.now_ms() + days * 86_400_000)


def day_in(days: int) -> date:
    return (clock.now() + timedelta(days=days)).astimezone(UTC).date()


def test_every_day_from_yesterday_to_two_weeks_ahead_has_a_partition(owner: Connection) -> None:
    owner.execute(f"DROP TABLE audit_record_{day_in(14):%Y%m%d}")
    tasks.ensure_partitions()
    present = partitions(owner)
    for number in range(-1, 15):
        for parent in tasks.PARENTS:
            assert f"{parent}_{day_in(number):%Y%m%d}" in present
    tasks.ensure_partitions()
    assert partitions(owner) == present
    assert not Notice.objects.exists()


def test_rows_without_a_partition_are_moved_and_somebody_is_told(
    owner: Connection, database: Connection, make_record: Make, ship: Callable[..., None]
) -> None:
    stray, usual = make_record(id=far_id()), make_record()
    ship([stray, usual])
    assert database.execute("SELECT id FROM audit_record_default").fetchall() == [(stray.id,)]
    tasks.ensure_partitions()
    assert database.execute("SELECT id FROM audit_record_default").fetchall() == []
    part = f"audit_record_{ids.moment(stray.id):%Y%m%d}"
    assert database.execute(f"SELECT id FROM {part}").fetchall() == [(stray.id,)]
    assert {row[0] for row in database.execute("SELECT id FROM audit_record")} == {stray.id, usual.id}
    assert database.execute("SELECT records FROM audit_total").fetchall() == [(2,)]
    [notice] = Notice.objects.all()
    assert (notice.organisation_id, notice.event, notice.data["rows"]) == ("org_a", "records.stray", 1)


def test_a_new_partition_is_as_closed_as_the_others(
    owner: Connection, database: Connection, stores: Stores, make_record: Make, ship: Callable[..., None]
) -> None:
    ship([make_record(id=far_id())])
    tasks.ensure_partitions()
    part = f"audit_record_{day_in(FAR):%Y%m%d}"
    with psycopg.connect(stores.database_url, autocommit=True) as stranger:
        assert stranger.execute(f"SELECT id FROM {part}").fetchall() == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        database.execute(f"UPDATE {part} SET charged = 0")
    with pytest.raises(psycopg.errors.RestrictViolation):
        database.execute(f"DELETE FROM {part}")


def test_records_keep_coming_while_their_partition_is_made(
    owner: Connection, database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    """A row may be refused on its way to the default partition; the shipper tries again and sets nothing aside."""
    book = Journal(journals, ids.new("ls"))
    shipper, stop = Shipper(stores.database_url, journals), threading.Event()
    shipping = threading.Thread(target=shipper.run, args=(stop,))
    shipping.start()
    written: set[str] = set()
    for number in range(90):
        record = make_record(id=far_id(FAR + number % 9))
        book.write(journal.DONE, encode_record(record))
        written.add(record.id)
        if number % 10 == 9:
            tasks.ensure_partitions()
    book.close()
    while book.folder.exists():
        assert shipping.is_alive()
    stop.set()
    shipping.join()
    tasks.ensure_partitions()
    assert database.execute("SELECT count(*) FROM audit_record_default").fetchall() == [(0,)]
    assert {row[0] for row in database.execute("SELECT id FROM audit_record")} == written
    assert database.execute("SELECT set_aside FROM audit_shipped").fetchall() == [(0,)]


def test_a_row_refused_by_a_partition_that_just_came_is_shipped_at_the_next_try(
    owner: Connection, database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    """Seen red with check violations taken for faults of the row: the record is set aside."""
    book = Journal(journals, ids.new("ls"))
    record = make_record(id=far_id())
    book.write(journal.DONE, encode_record(record))
    shipper = Shipper(stores.database_url, journals)
    with psycopg.connect(stores.database_owner_url) as maker:
        # Not yet committed: the shipper's row is routed to the default partition and waits there.
        maker.execute("SELECT audit_add_partition('audit_record', %s)", [day_in(FAR)])
        shipping = threading.Thread(target=shipper.step)
        shipping.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # fmt: skip
        while database.execute(waits).fetchall() == [(0,)]:
            assert shipping.is_alive()
        maker.commit()
    shipping.join()
    shipper.step()
    shipper.close()
    book.close()
    part = f"audit_record_{ids.moment(record.id):%Y%m%d}"
    assert database.execute(f"SELECT id FROM {part}").fetchall() == [(record.id,)]
    assert database.execute("SELECT set_aside FROM audit_shipped").fetchall() == [(0,)]


def test_two_workers_make_the_same_partition_once(owner: Connection, stores: Stores) -> None:
    day = day_in(FAR)
    faults: list[BaseException] = []

    def make() -> None:
        try:
            with psycopg.connect(stores.database_owner_url, autocommit=True) as connection:
                connection.execute("SELECT audit_add_partition('audit_record', %s)", [day])
        except psycopg.Error as fault:
            faults.append(fault)

    makers = [threading.Thread(target=make) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert faults == []
    assert f"audit_record_{day:%Y%m%d}" in partitions(owner)


def test_the_setting_of_the_caller_is_as_before(owner: Connection, stores: Stores) -> None:
    with psycopg.connect(stores.database_owner_url) as connection:
        connection.execute("SELECT set_config('smartflow.organisation', 'org_a', true)")
        connection.execute("SELECT audit_add_partition('audit_record', %s)", [day_in(FAR)])
        found = connection.execute("SELECT current_setting('smartflow.organisation')").fetchone()
        assert found == ("org_a",)
        assert found != (EVERYONE,)
        connection.rollback()


def test_a_task_that_somebody_runs_is_left_to_them(owner: Connection) -> None:
    key = "SELECT {}(hashtext('smartflow'), hashtext('audit.partitions'))"
    owner.execute(f"DROP TABLE audit_record_{day_in(13):%Y%m%d}")
    owner.execute(key.format("pg_advisory_lock"))
    tasks.ensure_partitions()
    assert f"audit_record_{day_in(13):%Y%m%d}" not in partitions(owner)
    owner.execute(key.format("pg_advisory_unlock"))
    tasks.ensure_partitions()
    assert f"audit_record_{day_in(13):%Y%m%d}" in partitions(owner)
    with only_one("audit.partitions") as mine:
        assert mine

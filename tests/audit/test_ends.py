# SPDX-License-Identifier: Apache-2.0
"""How exchanges end in the database: finished, interrupted, or finished after all."""

from decimal import Decimal
from pathlib import Path

import psycopg

from apps.audit import columns, journal
from apps.audit.domain import State, decode_record, encode_record, interrupted
from apps.audit.journal import Journal
from apps.core import ids
from tests.audit.shipping import Connection, Make, count, one, ship, write
from tests.conftest import Stores


def test_a_dead_process_is_closed_and_what_it_left_open_is_interrupted(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    finished, left = make_record(), make_record(charged=0, cost=Decimal(0))
    write(book, finished, journal.OPEN)
    write(book, left, journal.OPEN)
    ship(stores, journals)
    assert {row[0] for row in database.execute("SELECT id FROM audit_open")} == {finished.id, left.id}
    assert one(database, "SELECT closed_at FROM audit_shipped") == (None,)
    write(book, finished)
    position = book.position
    book.close()
    ship(stores, journals)
    rows = dict(database.execute("SELECT id, data::text FROM audit_record").fetchall())
    assert set(rows) == {finished.id, left.id}
    assert decode_record(rows[finished.id]).state is State.DONE
    closed = decode_record(rows[left.id])
    assert (closed.state, closed.verdict, closed.usage_source) == ("interrupted", "failed", "unknown")
    assert closed.charged == left.reserved
    assert closed.person_name == "Anna Berg"
    assert count(database, "audit_open") == 0
    assert one(database, "SELECT position, behind, closed_at IS NOT NULL FROM audit_shipped") == (
        position,
        0,
        True,
    )
    assert not book.folder.exists()


def test_a_late_end_replaces_an_interrupted_record_exactly_once(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    record = make_record()
    early = interrupted(record)
    with psycopg.connect(stores.database_url) as connection:
        connection.execute("SELECT set_config('smartflow.organisation', '*', true)")
        row = columns.record_row(early, encode_record(early).decode())
        marks = ", ".join(["%s"] * len(row))
        connection.execute(f"INSERT INTO audit_record ({', '.join(columns.RECORD)}) VALUES ({marks})", row)
    assert one(database, "SELECT sum(charged) FROM audit_spend") == (5000,)
    for _ in range(2):
        book = Journal(journals, ids.new("ls"))
        write(book, record)
        book.close()
        ship(stores, journals)
    assert one(database, "SELECT count(*), min(state), sum(charged) FROM audit_record") == (1, "done", 1234)
    corrections = database.execute(
        "SELECT record_id, budget_ids, charged_before, charged_after, applied_at FROM audit_correction"
    ).fetchall()
    assert corrections == [(record.id, ["bgt_a"], 5000, 1234, None)]
    assert one(database, "SELECT sum(charged), sum(records) FROM audit_spend") == (1234, 1)
    assert one(database, "SELECT records, charged FROM audit_total") == (1, 1234)


def test_an_interrupted_record_never_replaces_a_finished_one(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    record = make_record()
    book = Journal(journals, ids.new("ls"))
    write(book, record)
    book.close()
    ship(stores, journals)
    other = Journal(journals, ids.new("ls"))
    write(other, record, journal.OPEN)
    other.close()
    ship(stores, journals)
    assert one(database, "SELECT count(*), min(state), min(charged) FROM audit_record") == (1, "done", 1234)
    assert count(database, "audit_correction") == 0

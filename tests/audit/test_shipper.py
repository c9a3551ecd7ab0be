# SPDX-License-Identifier: Apache-2.0
"""The shipper against a real PostgreSQL: once and only once, through crashes, outages and damaged lines."""

import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from apps.audit import columns, ingest, journal, segments
from apps.audit import shipper as module
from apps.audit.domain import (
    Body,
    State,
    Verdict,
    decode_record,
    encode_body,
    encode_record,
)
from apps.audit.journal import Journal
from apps.audit.segments import Folder
from apps.audit.shipper import Shipper
from apps.core import ids, tenancy
from tests.audit.shipping import PATIENCE, Connection, Make, count, one, running, ship, until, waiting, write
from tests.conftest import Stores


def test_a_record_arrives_with_its_columns_and_whole(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    record = make_record(tags=("a\x00b", "back\\u0000slash"), person_name="Zoë\x00", admitted_ms=0)
    write(book, record)
    ship(stores, journals)
    row = one(
        database,
        "SELECT ts, organisation_id, state, person_name, cost, charged, tokens, overhead_us, budget_ids, lease, "
        "position, data::text FROM audit_record WHERE id = %s",
        record.id,
    )
    assert row[:11] == (
        ids.moment(record.id), "org_a", "done", "Zoë\N{REPLACEMENT CHARACTER}", Decimal("0.0012335"), 1234, 30, 200,
        ["bgt_a"], book.lease, book.position,
    )  # fmt: skip
    stored = decode_record(row[11])
    assert stored.tags == ("a\N{REPLACEMENT CHARACTER}b", "back\\u0000slash")
    assert stored.stages == record.stages
    book.close()


def test_what_is_shipped_twice_is_there_once(
    database: Connection, stores: Stores, journals: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipper that ends between commit and acknowledgement; red when the conflict clause is left out."""
    book = Journal(journals, ids.new("ls"))
    for _ in range(50):
        write(book, make_record())

    def ends_here(self: Folder, mark: segments.Mark) -> None:
        raise KeyboardInterrupt

    shipper = Shipper(stores.database_url, journals)
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "acknowledge", ends_here)
        with pytest.raises(KeyboardInterrupt):
            shipper.step()
    shipper.close()
    assert count(database) == 50
    write(book, make_record())
    ship(stores, journals)
    assert count(database) == 51
    assert one(database, "SELECT records, tokens, charged FROM audit_total") == (51, 51 * 30, 51 * 1234)
    assert one(database, "SELECT sum(charged), sum(records) FROM audit_spend") == (51 * 1234, 51)
    assert one(database, "SELECT set_aside FROM audit_shipped") == (0,)
    book.close()


@pytest.mark.parametrize("kills", [10])
def test_a_shipper_killed_again_and_again_loses_and_doubles_nothing(
    database: Connection, stores: Stores, journals: Path, make_record: Make, kills: int
) -> None:
    """Every second kill comes inside the transaction. Seen red with the acknowledgement before the commit."""
    book = Journal(journals, ids.new("ls"))
    written: list[str] = []

    def some(number: int) -> None:
        for _ in range(number):
            record = make_record()
            write(book, record)
            written.append(record.id)

    with psycopg.connect(stores.database_owner_url) as owner:
        for turn in range(kills):
            some(200)
            before = count(database)
            if turn % 2:
                # The last statement of a batch waits for this lock.
                owner.execute("LOCK TABLE audit_shipped IN ACCESS EXCLUSIVE MODE")
            with running(stores, journals) as process:
                if turn % 2:
                    until(lambda: waiting(database))
                else:
                    until(lambda before=before: count(database) > before)  # type: ignore[misc]
                some(turn * 20)
                process.send_signal(signal.SIGKILL)
            owner.commit()
    book.close()
    with running(stores, journals) as process:
        until(lambda: not book.folder.exists())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    found = [row[0] for row in database.execute("SELECT id FROM audit_record ORDER BY ts, id")]
    assert sorted(found) == sorted(written)
    assert one(database, "SELECT records FROM audit_total") == (len(written),)


def test_sigterm_ships_what_is_there(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    with running(stores, journals) as process:
        until(lambda: count(database, "audit_shipped") == 1)
        for _ in range(3000):
            write(book, make_record())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert count(database) == 3000
    book.close()


def test_two_shippers_on_one_folder_take_turns(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    with running(stores, journals) as first:
        until(lambda: count(database, "audit_shipped") == 1)
        with running(stores, journals) as second:
            write(book, make_record())
            until(lambda: count(database) == 1)
            assert second.poll() is None
            first.send_signal(signal.SIGKILL)
            first.wait()
            write(book, make_record())
            until(lambda: count(database) == 2)
    book.close()


@pytest.mark.parametrize("statement", ["UPDATE {} SET organisation_id = 'org_b'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["audit_record", "audit_body"])
def test_the_database_itself_refuses_to_alter_or_remove(
    database: Connection, stores: Stores, journals: Path, make_record: Make, table: str, statement: str
) -> None:
    book = Journal(journals, ids.new("ls"))
    record = make_record()
    body = Body(
        id=record.id, organisation_id="org_a", subject="per_anna", prompt=b"p", answer=b"a", redacted=False
    )
    book.write(journal.BODY, encode_body(body))
    write(book, record)
    book.close()
    ship(stores, journals)
    with pytest.raises(psycopg.errors.RestrictViolation, match="only grows"):
        database.execute(statement.format(table))
    assert count(database, table) == 1


def test_a_torn_end_is_dropped_and_a_damaged_line_set_aside(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    first, hurt, last = make_record(), make_record(), make_record()
    for record in (first, hurt, last):
        write(book, record)
    book.close()
    [path] = book.folder.glob("*.seg")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"charged":1234', b'"charged":1')
    path.write_bytes(b"".join(lines) + b"0000abcd done {half")
    ship(stores, journals)
    assert {row[0] for row in database.execute("SELECT id FROM audit_record")} == {first.id, last.id}
    assert (journals / segments.DAMAGED / f"{book.lease}.lines").read_bytes() == lines[1]
    assert one(database, "SELECT set_aside, position FROM audit_shipped") == (
        1,
        sum(map(len, lines)) + 19,
    )
    assert not book.folder.exists()


def test_half_a_line_of_a_living_process_is_waited_for(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    record = make_record()
    line = journal.line_of(journal.DONE, encode_record(record))
    [path] = book.folder.glob("*.seg")
    with path.open("ab") as file:
        file.write(line[:50])
    ship(stores, journals)
    assert count(database) == 0
    with path.open("ab") as file:
        file.write(line[50:])
    ship(stores, journals)
    assert count(database) == 1
    book.close()


def test_a_row_the_database_refuses_does_not_stop_the_others(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    good = [make_record() for _ in range(20)]
    for number, record in enumerate(good):
        write(book, record)
        if number == 7:
            write(book, make_record(charged=2**63))
            write(book, make_record(id="req_nonsense"))
            book.write(journal.DONE, b'{"v":99,"id":"req_x"}')
    book.close()
    ship(stores, journals)
    assert {row[0] for row in database.execute("SELECT id FROM audit_record")} == {one.id for one in good}
    assert one(database, "SELECT set_aside FROM audit_shipped") == (3,)
    assert (journals / segments.DAMAGED / f"{book.lease}.lines").read_bytes().count(b"\n") == 3


def test_an_outage_is_waited_out(
    database: Connection, stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    with running(stores, journals) as process:
        write(book, make_record())
        until(lambda: count(database) == 1)
        with psycopg.connect(stores.database_owner_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE audit_shipped RENAME TO audit_away")
            for _ in range(100):
                write(book, make_record())
            time.sleep(1)
            assert process.poll() is None
            owner.execute("ALTER TABLE audit_away RENAME TO audit_shipped")
        until(lambda: count(database) == 101)
        pid = one(database, "SELECT pid FROM pg_stat_activity WHERE application_name = 'smartflow shipper'")[
            0
        ]
        database.execute("SELECT pg_terminate_backend(%s)", [pid])
        write(book, make_record())
        until(lambda: count(database) == 102)
    book.close()


def test_a_database_that_is_not_there_does_not_end_it(
    stores: Stores, journals: Path, make_record: Make
) -> None:
    book = Journal(journals, ids.new("ls"))
    write(book, make_record())
    with running(stores, journals, "postgresql://nobody@127.0.0.1:1/none") as process:
        time.sleep(1.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert Folder(book.folder).mark == segments.Mark()
    book.close()


def test_shipped_segments_of_a_living_process_are_removed(
    database: Connection, stores: Stores, journals: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2000)
    book = Journal(journals, ids.new("ls"))
    for _ in range(40):
        write(book, make_record())
    assert len(list(book.folder.glob("*.seg"))) > 5
    ship(stores, journals)
    assert len(list(book.folder.glob("*.seg"))) == 1
    assert count(database) == 40
    assert one(database, "SELECT position, behind FROM audit_shipped") == (book.position, 0)
    book.close()


def test_memory_is_one_batch_however_long_the_journal(
    database: Connection, stores: Stores, journals: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_LINES", 7)
    seen: list[int] = []
    real = ingest.rows_of
    monkeypatch.setattr(module, "rows_of", lambda lines: (seen.append(len(lines)), real(lines))[1])
    book = Journal(journals, ids.new("ls"))
    for _ in range(100):
        write(book, make_record())
    book.close()
    ship(stores, journals)
    assert max(seen) == 7
    assert count(database) == 100


def test_a_folder_whose_process_died_before_it_had_a_name_goes(
    database: Connection, stores: Stores, journals: Path
) -> None:
    unborn = journals / ".ls_unborn"
    unborn.mkdir(parents=True)
    os.utime(unborn, (1, 1))
    ship(stores, journals)
    assert not unborn.exists()


def test_the_names_of_row_security_are_those_of_the_core() -> None:
    assert (columns.SETTING, columns.EVERYONE) == (tenancy.SETTING, tenancy.EVERYONE)


def test_verdicts_and_states_fit_their_columns() -> None:
    assert max(len(word) for word in [*State, *Verdict]) <= 16


def test_what_is_not_shipped_yet_is_known_to_the_byte(
    stores: Stores, database: Connection, journals: Path, make_record: Make
) -> None:
    assert segments.unshipped(journals / "nowhere") == 0
    books = [Journal(journals, ids.new("ls")) for _ in range(2)]
    for book in books:
        write(book, make_record())
    assert segments.unshipped(journals) == sum(book.position for book in books)
    ship(stores, journals)
    assert segments.unshipped(journals) == 0
    write(books[0], make_record())
    before = sum(Folder(journals / book.lease).mark.position for book in books)
    assert segments.unshipped(journals) == sum(book.position for book in books) - before
    for book in books:
        book.close()

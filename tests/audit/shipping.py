# SPDX-License-Identifier: Apache-2.0
"""What tests of the shipper share: writing lines, running it, looking into the database."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from apps.audit import journal
from apps.audit.domain import Record, State, encode_record
from apps.audit.journal import Journal
from apps.audit.shipper import Shipper
from tests.conftest import Stores

PATIENCE = 60
Connection = psycopg.Connection[Any]
Make = Callable[..., Record]


def count(database: Connection, table: str = "audit_record") -> int:
    row = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def one(database: Connection, query: str, *values: Any) -> tuple[Any, ...]:
    row = database.execute(query, values).fetchone()
    assert row is not None
    return tuple(row)


def write(book: Journal, record: Record, kind: bytes = journal.DONE) -> None:
    record.lease = book.lease
    if kind == journal.DONE:
        record.state = State.DONE
    book.write(kind, encode_record(record))


def ship(stores: Stores, journals: Path) -> None:
    """Everything that is there, by a shipper that then ends."""
    shipper = Shipper(stores.database_url, journals)
    stop = threading.Event()
    stop.set()
    shipper.run(stop)


@contextmanager
def running(stores: Stores, journals: Path, url: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """A shipper process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.getcwd(),
        "DATABASE_URL": url or stores.database_url,
        "SMARTFLOW_VAR": str(journals.parent),
    }
    process = subprocess.Popen([sys.executable, "-m", "apps.audit.shipper"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waiting(database: Connection) -> bool:
    """Whether a shipper is inside a transaction, held up by a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'smartflow shipper' "
        "AND datname = current_database() AND wait_event_type = 'Lock'"
    )
    return one(database, query) == (1,)

# SPDX-License-Identifier: Apache-2.0
"""How lines of a journal become rows: one transaction per batch, the same result however often it runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from apps.audit import columns, journal
from apps.audit.domain import (
    Record,
    RecordError,
    State,
    decode_body,
    decode_record,
    encode_record,
    interrupted,
)
from apps.audit.segments import Line

# Errors that lie in a row. A check violation does not: a row was on its way to the default partition while its
# own was made, and the next try finds that one.
POISON = (
    psycopg.DataError,
    psycopg.errors.NotNullViolation,
    psycopg.errors.RestrictViolation,
    psycopg.errors.ProgramLimitExceeded,
)
# The one update there is: an exchange closed as interrupted turns out to have ended.
COMPLETE = (
    "DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in columns.RECORD if name not in {"ts", "id"})
    + " WHERE audit_record.state = 'interrupted' AND excluded.state = 'done'"
    " AND audit_record.organisation_id = excluded.organisation_id"
)


@dataclass(slots=True)
class Rows:
    """A batch as rows; `refused` are lines that no row can be made of."""

    records: list[tuple[Any, ...]] = field(default_factory=list)
    bodies: list[tuple[Any, ...]] = field(default_factory=list)
    opened: dict[str, Record] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    refused: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a journal is, as the database keeps it."""

    lease: str
    position: int
    behind: int
    set_aside: int = 0
    closed: bool = False


def rows_of(lines: Iterable[Line]) -> Rows:
    """The rows of some lines; an exchange that opens and ends among them needs no open row."""
    rows = Rows()
    for line in lines:
        try:
            _add(rows, line)
        except (RecordError, ValueError, OverflowError):
            rows.refused.append(line)
    return rows


def _add(rows: Rows, line: Line) -> None:
    if line.kind == journal.BODY:
        rows.bodies.append(columns.body_row(decode_body(line.payload)))
    elif line.kind == journal.OPEN:
        record = decode_record(line.payload)
        columns.record_row(record, "{}")
        rows.opened[record.id] = record
    elif line.kind == journal.DONE:
        record = decode_record(line.payload)
        payload = line.payload
        if record.state is not State.DONE:
            record.state = State.DONE
            payload = encode_record(record)
        rows.records.append(columns.record_row(record, payload.decode(), line.position))
        rows.finished.append(record.id)
        rows.opened.pop(record.id, None)


class Ingest:
    """One connection that writes batches; it is thrown away after any error."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(
            database_url, autocommit=True, connect_timeout=5, application_name="smartflow shipper",
            options="-c statement_timeout=60000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000",
        )  # fmt: skip
        try:
            for table in ("audit_record", "audit_body"):
                self._connection.execute(
                    sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DELETE ROWS").format(
                        sql.Identifier(f"shipping_{table}"), sql.Identifier(table)
                    )
                )
        except psycopg.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()

    def ship(self, rows: Rows, progress: Progress) -> None:
        """Everything of a batch, and how far the journal now is, or nothing."""
        with self._connection.transaction():
            self._connection.execute("SELECT set_config(%s, %s, true)", [columns.SETTING, columns.EVERYONE])
            self._copy("audit_body", columns.BODY, rows.bodies, "DO NOTHING")
            self._copy("audit_record", columns.RECORD, rows.records, COMPLETE)
            if rows.finished:
                self._connection.execute("DELETE FROM audit_open WHERE id = ANY(%s)", [rows.finished])
            self._open(rows.opened.values(), progress.lease)
            self._note(progress)

    def close_lease(self, progress: Progress) -> int:
        """Close what a dead process left open as interrupted, and its journal; how many were open."""
        with self._connection.transaction():
            self._connection.execute("SELECT set_config(%s, %s, true)", [columns.SETTING, columns.EVERYONE])
            found = self._connection.execute(
                "DELETE FROM audit_open WHERE lease = %s RETURNING data::text", [progress.lease]
            ).fetchall()
            closed = [interrupted(decode_record(text)) for (text,) in found]
            rows = [columns.record_row(record, encode_record(record).decode()) for record in closed]
            self._copy("audit_record", columns.RECORD, rows, COMPLETE)
            self._note(progress)
        return len(rows)

    def seen(self, live: Sequence[Progress]) -> None:
        """Tell the database that journals are being watched although nothing came."""
        with self._connection.transaction():
            for progress in live:
                self._note(progress)

    def _copy(self, table: str, names: Sequence[str], rows: list[tuple[Any, ...]], conflict: str) -> None:
        if not rows:
            return
        into, beside = sql.Identifier(table), sql.Identifier(f"shipping_{table}")
        listed = sql.SQL(", ").join(map(sql.Identifier, names))
        with self._connection.cursor() as cursor:
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(beside, listed)) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {into} ({listed}) SELECT DISTINCT ON (ts, id) {listed} FROM {beside} "
                    "ORDER BY ts, id ON CONFLICT (ts, id) "
                ).format(into=into, listed=listed, beside=beside)
                + sql.SQL(conflict)
            )

    def _open(self, records: Iterable[Record], lease: str) -> None:
        values = [
            (record.id, record.organisation_id, lease, columns.json_text(encode_record(record).decode()))
            for record in records
        ]
        if values:
            with self._connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO audit_open (id, organisation_id, lease, data) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (id) DO NOTHING",
                    values,
                )

    def _note(self, progress: Progress) -> None:
        self._connection.execute(
            "INSERT INTO audit_shipped AS known (lease, position, behind, set_aside, seen_at, closed_at) "
            "VALUES (%(lease)s, %(position)s, %(behind)s, %(set_aside)s, clock_timestamp(), "
            "CASE WHEN %(closed)s THEN clock_timestamp() END) ON CONFLICT (lease) DO UPDATE SET "
            "position = greatest(known.position, excluded.position), behind = excluded.behind, "
            "set_aside = known.set_aside + excluded.set_aside, seen_at = excluded.seen_at, "
            "closed_at = coalesce(known.closed_at, excluded.closed_at)",
            {
                "lease": progress.lease, "position": progress.position, "behind": progress.behind,
                "set_aside": progress.set_aside, "closed": progress.closed,
            },
        )  # fmt: skip

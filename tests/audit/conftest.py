# SPDX-License-Identifier: Apache-2.0
"""Records for the audit room's tests, and tables that are empty at the start of each."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rest_framework.test import APIClient

from apps.audit import journal
from apps.audit.domain import Body, Record, Stage, State, UsageSource, encode_body, encode_record
from apps.audit.ingest import Ingest, Progress, rows_of
from apps.audit.segments import Line
from apps.changes.domain import Role, system
from apps.core import ids
from apps.identity.services import actor_of, create_organisation, create_person, issue_token
from tests.conftest import Stores

TABLES = "audit_record, audit_body, audit_shipped, audit_open, audit_total, audit_spend, audit_correction, audit_reveal"


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A finished exchange of 1,234 micro-dollars, of now; every field can be given."""

    def make(**fields: Any) -> Record:
        given = {
            "id": ids.new("req"),
            "organisation_id": "org_a",
            "state": State.DONE,
            "key_id": "key_a",
            "person_id": "per_anna",
            "person_name": "Anna Berg",
            "model": "small",
            "status": 200,
            "input_tokens": 10,
            "output_tokens": 20,
            "usage_source": UsageSource.PROVIDER,
            "cost": Decimal("0.0012335"),
            "charged": 1234,
            "reserved": 5000,
            "budget_ids": ("bgt_a",),
            "total_us": 900,
            "upstream_us": 700,
            "stages": (Stage("identify", 0, 5), Stage("send", 5, 700)),
        }
        return Record(**{**given, **fields})

    return make


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """A folder for journals."""
    return tmp_path / "journal"


@pytest.fixture
def ship(stores: Stores, database: "psycopg.Connection[Any]") -> Callable[..., None]:
    """Bring records and bodies into the database as the shipper does."""

    def bring(records: Iterable[Record], bodies: Iterable[Body] = ()) -> None:
        lines = [Line(journal.BODY, encode_body(body), 0) for body in bodies]
        lines += [Line(journal.DONE, encode_record(record), 0) for record in records]
        with contextlib.closing(Ingest(stores.database_url)) as ingest:
            ingest.ship(rows_of(lines), Progress("ls_tests", 0, 0))

    return bring


@dataclass(frozen=True)
class Organisation:
    """An organisation and its people by role; `nobody` has no role."""

    id: str
    people: dict[str, Any]

    def client(self, role: str) -> APIClient:
        """The API as a person of the role uses it, by a personal token."""
        person = self.people[role]
        _row, secret = issue_token(actor=actor_of(person), person_id=person.pk, name="tests", days=1)
        return APIClient(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def alder(database: "psycopg.Connection[Any]", db: None) -> Organisation:
    """Alder Bank."""
    return make_organisation("Alder Bank", "alder.example")


@pytest.fixture
def birch(database: "psycopg.Connection[Any]", db: None) -> Organisation:
    """Birch Clinic, which must see nothing of Alder Bank."""
    return make_organisation("Birch Clinic", "birch.example")


def make_organisation(name: str, domain: str) -> Organisation:
    """An organisation with a person per role."""
    row = create_organisation(actor=system(""), name=name)
    people = {
        role or "nobody": create_person(
            actor=system(row.id),
            organisation_id=row.id,
            email=f"{role or 'nobody'}@{domain}",
            name=f"{(role or 'nobody').capitalize()} Berger",
            roles=[Role(role)] if role else [],
        )
        for role in ("", *Role)
    }
    return Organisation(row.id, people)


@pytest.fixture
def database(stores: Stores) -> Iterator["psycopg.Connection[Any]"]:
    """The application role's own connection, seeing every organisation; the room's tables are empty."""
    with psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES}")
        connection.execute("SELECT set_config('smartflow.organisation', '*', false)")
        yield connection
        connection.execute(f"TRUNCATE {TABLES}")

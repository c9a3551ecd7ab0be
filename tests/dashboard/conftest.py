# SPDX-License-Identifier: Apache-2.0
"""An organisation with people of every role, and records brought in the way the shipper brings them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.test import Client

from apps.audit import journal
from apps.audit.domain import Body, Record, State, encode_body, encode_record
from apps.audit.ingest import Ingest, Progress, rows_of
from apps.audit.segments import Line
from apps.identity.domain import Role
from apps.identity.services import create_organisation, create_person, system
from tests.conftest import Stores

PASSWORD = "correct horse battery"
Ship = Callable[..., None]
AsRole = Callable[[str], Client]


def text_of(response: Any) -> str:
    """The page as text."""
    found: str = response.content.decode()
    return found


@dataclass(frozen=True)
class Bank:
    """An organisation and its people by role; `nobody` has no role."""

    id: str
    people: dict[str, Any]


@pytest.fixture
def no_records(stores: Stores) -> Iterator[None]:
    """Tables of records that are empty again after the test's own transaction has ended."""
    yield
    with psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE audit_record, audit_body, audit_open, audit_shipped, audit_total, audit_spend"
        )


@pytest.fixture
def bank(no_records: None, db: None) -> Bank:
    """Alder Bank."""
    return make_bank("Alder Bank", "alder.example")


def make_bank(name: str, domain: str) -> Bank:
    """An organisation with one person per role."""
    organisation = create_organisation(actor=system(""), name=name)
    actor = system(organisation.id)
    people = {
        role: create_person(
            actor=actor,
            organisation_id=organisation.id,
            email=f"{role or 'nobody'}@{domain}",
            name=f"{(role or 'nobody').capitalize()} Berger",
            roles=[Role(role)] if role else [],
            password=PASSWORD,
            is_staff=role == "admin",
        )
        for role in ("", *Role)
    }
    return Bank(organisation.id, {role or "nobody": person for role, person in people.items()})


@pytest.fixture
def as_role(bank: Bank) -> Callable[[str], Client]:
    """A browser in which the person of a role is signed in."""

    def signed_in(role: str) -> Client:
        client = Client()
        client.force_login(bank.people[role])
        return client

    return signed_in


@pytest.fixture
def ship(stores: Stores, no_records: None) -> Ship:
    """Bring records and bodies into the database."""
    return lambda records, bodies=(): bring(stores.database_url, records, bodies)


def bring(database_url: str, records: Iterable[Record], bodies: Iterable[Body] = ()) -> None:
    """One batch of the shipper; the interrupted ones as what a dead process left open."""
    kinds = {State.DONE: journal.DONE, State.INTERRUPTED: journal.OPEN}
    lines = [Line(journal.BODY, encode_body(body), 0) for body in bodies]
    lines += [Line(kinds[record.state], encode_record(record), 0) for record in records]
    progress = Progress(lease="ls_tests", position=0, behind=0)
    ingest = Ingest(database_url)
    try:
        ingest.ship(rows_of(lines), progress)
        ingest.close_lease(progress)
    finally:
        ingest.close()

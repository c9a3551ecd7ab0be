# SPDX-License-Identifier: Apache-2.0
"""Keys that are issued while what they point to is deleted: one of the two goes first, the other hears why not."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction

from apps.changes.domain import Role
from apps.core.django_rows import InUseError
from apps.identity import services as people
from apps.identity.models import Person, Team
from apps.keys import services
from apps.keys.models import VirtualKey
from tests.control import House, eventually, house

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
WAITING = "SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN)


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Runs something in a thread with a connection of its own."""
    with ThreadPoolExecutor(4) as pool:

        def run(work: Callable[[], Any]) -> Future[Any]:
            def closing() -> Any:
                try:
                    return work()
                finally:
                    connections.close_all()

            return pool.submit(closing)

        yield run


def issue(acme: House, team: Team, **fields: Any) -> None:
    services.issue_key(actor=acme.actor(Role.ADMIN), name="Raced", team_id=team.pk, **fields)


def delete(acme: House, team: Team) -> None:
    people.delete_team(actor=acme.actor(Role.ADMIN), team_id=team.pk)


def new_team(acme: House, name: str = "Raced") -> Team:
    return people.create_team(actor=acme.actor(Role.ADMIN), name=name)


def until_blocked() -> None:
    """Wait until the other side waits for us."""

    def blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0])

    eventually(blocked)


def test_a_team_is_not_deleted_under_a_key_that_is_being_issued(acme: House, beside: Any) -> None:
    team = new_team(acme)
    with transaction.atomic():
        issue(acme, team)
        deleting = beside(lambda: delete(acme, team))
        until_blocked()

    with pytest.raises(InUseError, match="is used by: virtual key Raced"):
        deleting.result(60)
    assert Team.objects.of(acme.id).filter(pk=team.pk).exists()


def test_a_key_is_not_issued_to_a_team_that_is_being_deleted(acme: House, beside: Any) -> None:
    team = new_team(acme)
    with transaction.atomic():
        delete(acme, team)
        issuing = beside(lambda: issue(acme, team))
        until_blocked()

    with pytest.raises(ValidationError) as refused:
        issuing.result(60)
    assert list(refused.value.message_dict) == ["team"]
    assert not VirtualKey.objects.of(acme.id).exists()


def test_a_key_is_not_issued_to_a_person_who_is_being_deleted(acme: House, beside: Any) -> None:
    team, person = new_team(acme), acme.person(None)
    with transaction.atomic():
        Person.objects.filter(pk=person.pk).delete()
        issuing = beside(lambda: issue(acme, team, person_id=person.pk))
        until_blocked()

    with pytest.raises(ValidationError) as refused:
        issuing.result(60)
    assert list(refused.value.message_dict) == ["person"]


def test_a_person_does_not_join_a_team_that_is_being_deleted(acme: House, beside: Any) -> None:
    team, client = new_team(acme), acme.client(Role.ADMIN)
    joining = {"email": "eve@acme.example", "name": "Eve", "teams": [team.pk]}
    with transaction.atomic():
        delete(acme, team)
        answering = beside(lambda: client.post("/api/people", joining))
        until_blocked()

    answer = answering.result(60)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Something that this refers to was deleted meanwhile")
    assert not Person.objects.filter(email="eve@acme.example").exists()


def test_both_at_once_leave_a_key_with_its_team_or_neither(acme: House, beside: Any) -> None:
    for number in range(10):
        team, start = new_team(acme, f"Raced {number}"), threading.Barrier(2)

        def at_once(work: Callable[[House, Team], None], team: Team = team, start: Any = start) -> None:
            start.wait(60)
            work(acme, team)

        issuing, deleting = beside(lambda run=at_once: run(issue)), beside(lambda run=at_once: run(delete))
        faults = [one.exception(60) for one in (issuing, deleting)]

        assert [type(fault) for fault in faults] in (
            [type(None), InUseError],
            [ValidationError, type(None)],
        ), faults
        VirtualKey.objects.of(acme.id).delete()

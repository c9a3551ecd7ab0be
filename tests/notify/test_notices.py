# SPDX-License-Identifier: Apache-2.0
"""Notices: once per crossing, to people and roles, read by each for themselves."""

import threading
from typing import Any

import pytest
from django.db import connections

from apps.changes.domain import Role
from apps.notify import services
from apps.notify.models import Delivery, Notice, NoticeRead
from apps.notify.selectors import notices_for, unread_count
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN, Role.APPROVER)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def tell(of: House, key: str = "budget:1:80", **fields: Any) -> str | None:
    values: dict[str, Any] = {
        "title": "80 % of the budget is spent",
        "roles": [Role.ADMIN],
        "dedupe_key": key,
    }
    return services.notify("budget.crossed", of.id, **values | fields)


class TestTelling:
    def test_a_crossing_is_told_once(self, acme: House, other: House) -> None:
        assert tell(acme) is not None
        assert tell(acme) is None
        assert tell(acme, "budget:1:90") is not None
        assert tell(other) is not None
        assert Notice.objects.of(acme.id).count() == 2

    def test_people_and_roles_hear_it_and_nobody_else(self, acme: House, other: House) -> None:
        tell(acme)
        tell(acme, "k2", roles=[], people=[acme.person(None).pk])
        tell(acme, "k3", roles=[Role.ADMIN, Role.APPROVER], people=[acme.person(Role.ADMIN).pk])
        assert [n.dedupe_key for n in notices_for(acme.actor(Role.ADMIN))] == ["k3", "budget:1:80"]
        assert [n.dedupe_key for n in notices_for(acme.actor(None))] == ["k2"]
        assert [n.dedupe_key for n in notices_for(acme.actor(Role.APPROVER))] == ["k3"]
        assert not notices_for(other.actor(Role.ADMIN)).exists()

    def test_names_of_events_are_checked(self, acme: House) -> None:
        for name in ("Budget", "budget", "budget..x", "budget.x y", "*"):
            with pytest.raises(ValueError, match="not the name"):
                services.notify(name, acme.id, title="x", dedupe_key="k")

    def test_reading_is_everybody_s_own(self, acme: House) -> None:
        first = tell(acme, roles=[Role.ADMIN, Role.APPROVER])
        tell(acme, "k2", roles=[Role.ADMIN])
        actor = acme.actor(Role.ADMIN)
        assert unread_count(actor) == 2
        assert services.mark_read(actor=actor, notice_ids=[str(first)]) == 1
        assert services.mark_read(actor=actor, notice_ids=[str(first)]) == 0
        assert unread_count(actor) == 1
        assert unread_count(acme.actor(Role.APPROVER)) == 1
        assert services.mark_read(actor=actor) == 1
        assert {notice.is_read for notice in notices_for(actor)} == {True}
        # What one cannot see one cannot mark.
        assert services.mark_read(actor=acme.actor(None), notice_ids=[str(first)]) == 0
        assert not NoticeRead.objects.filter(person_id=acme.person(None).pk).exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_tell_the_same_at_once_tell_it_once() -> None:
    acme = house("Acme", Role.ADMIN)
    services.create_webhook(
        actor=acme.actor(Role.ADMIN), name="w", url="https://hooks.example.com/x", events=["*"]
    )
    for number in range(5):
        start, told = threading.Barrier(4), []

        def run(start: threading.Barrier, told: list[str | None], key: str) -> None:
            try:
                start.wait(30)
                told.append(tell(acme, key))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=run, args=(start, told, f"k{number}")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(told) == 4
        assert len([identifier for identifier in told if identifier]) == 1
    assert Notice.objects.count() == 5
    assert Delivery.objects.count() == 5


class TestApi:
    def test_mine_and_marking_them(self, acme: House, other: House) -> None:
        first = tell(acme, text="Claims", link="/budgets/1", data={"percent": 80})
        tell(acme, "k2")
        theirs = tell(other)
        client = acme.client(Role.ADMIN)
        rows = client.get("/api/notices").json()["results"]
        assert [row["id"] for row in rows][1] == first
        assert (rows[1]["text"], rows[1]["link"], rows[1]["data"], rows[1]["is_read"]) == (
            "Claims", "/budgets/1", {"percent": 80}, False,
        )  # fmt: skip
        assert client.post(f"/api/notices/{first}/read").json() == {"read": 1}
        assert [row["id"] for row in client.get("/api/notices?unread=1").json()["results"]] == [rows[0]["id"]]
        assert client.post("/api/notices/read").json() == {"read": 1}
        assert client.post(f"/api/notices/{theirs}/read").status_code == 404
        assert acme.client(None).get("/api/notices").json()["results"] == []
        assert acme.client(None).post(f"/api/notices/{first}/read").status_code == 404

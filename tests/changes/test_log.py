# SPDX-License-Identifier: Apache-2.0
"""The change log: what an entry holds, that it only grows, and who sees it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from apps.changes import selectors
from apps.changes.domain import Actor, Role, differences, plain
from apps.changes.models import AppendOnlyError, Change
from apps.changes.services import record
from apps.core import ids
from tests.conftest import Stores
from tests.control import House, house

pytestmark = pytest.mark.django_db
READERS = [Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR, Role.ENGINEER]


@pytest.fixture
def acme() -> House:
    return house("Acme", *Role)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def entry(of: House, **fields: Any) -> Change:
    """An entry by the organisation's administrator."""
    values: dict[str, Any] = {
        "actor": of.actor(Role.ADMIN),
        "organisation_id": of.id,
        "verb": "target.changed",
        "subject": ids.new("tgt"),
        "subject_name": "Cloud",
        "before": {"weight": 1},
        "after": {"weight": 2},
    }
    return record(**values | fields)


class TestAnEntry:
    def test_it_copies_the_actor_and_says_what_kind_of_thing_was_changed(self, acme: House) -> None:
        actor = Actor(id="per_1", name="Ada", kind="token", organisation_id=acme.id, request_id="req_7")
        row = Change.objects.get(pk=entry(acme, actor=actor, reason="asked by finance").pk)
        assert (row.actor_id, row.actor_name, row.actor_kind, row.request_id) == (
            "per_1",
            "Ada",
            "token",
            "req_7",
        )
        assert (row.subject_type, row.verb, row.reason) == ("target", "target.changed", "asked by finance")
        assert row.before == {"weight": 1}
        assert row.after == {"weight": 2}

    def test_values_are_plain_json(self, acme: House) -> None:
        after = {
            "rate": Decimal("0.0000001"),
            "at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
            "roles": {Role.AUDITOR, Role.ADMIN},
            "nested": [{"n": (1, None, True)}],
            "text": "a\x00b",
        }
        row = Change.objects.get(pk=entry(acme, before=None, after=after).pk)
        assert row.before is None
        assert row.after == {
            "rate": "0.0000001",
            "at": "2026-01-02T03:04:00+00:00",
            "roles": ["admin", "auditor"],
            "nested": [{"n": [1, None, True]}],
            "text": "a\N{REPLACEMENT CHARACTER}b",
        }

    def test_long_names_are_shortened_and_do_not_stop_the_edit(self, acme: House) -> None:
        assert len(entry(acme, subject_name="x" * 500).subject_name) == 200

    def test_differences_are_told_by_field(self, acme: House) -> None:
        row = entry(acme, before={"a": 1, "b": 2}, after={"b": 3, "c": 4})
        assert selectors.fields_changed(row) == {"a": [1, None], "b": [2, 3], "c": [None, 4]}
        assert differences(None, None) == {}
        assert plain(float(1)) == 1.0


@pytest.mark.django_db(transaction=True)
def test_an_entry_needs_the_transaction_of_its_edit() -> None:
    acme = house("Acme", Role.ADMIN)
    before = Change.objects.count()
    with pytest.raises(RuntimeError, match="transaction"):
        entry(acme)
    assert Change.objects.count() == before


class TestItOnlyGrows:
    def test_the_model_refuses(self, acme: House) -> None:
        row = entry(acme)
        with pytest.raises(AppendOnlyError):
            row.save()
        with pytest.raises(AppendOnlyError):
            row.delete()
        with pytest.raises(AppendOnlyError):
            Change.objects.all().delete()
        with pytest.raises(AppendOnlyError):
            Change.objects.filter(pk=row.pk).update(verb="other")

    @pytest.mark.parametrize(
        "statement", ["UPDATE changes_change SET verb = 'nothing'", "DELETE FROM changes_change"]
    )
    def test_the_database_refuses_the_application(self, acme: House, statement: str) -> None:
        row = entry(acme)
        with (
            pytest.raises(DatabaseError, match="only grows"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        assert Change.objects.get(pk=row.pk).verb == "target.changed"

    def test_the_database_refuses_the_owner_of_the_table(self, stores: Stores) -> None:
        with (
            psycopg.connect(stores.database_owner_url) as owner,
            pytest.raises(psycopg.Error, match="only grows"),
        ):
            owner.execute("DELETE FROM changes_change")


class TestApi:
    def test_strangers_get_401_and_are_told_the_scheme(self) -> None:
        answer = APIClient().get("/api/changes")
        assert answer.status_code == 401
        assert answer["www-authenticate"].startswith("Bearer")
        assert answer["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("role", [*Role, None])
    def test_roles(self, acme: House, role: Role | None) -> None:
        answer = acme.client(role).get("/api/changes")
        assert answer.status_code == (200 if role in READERS else 403)
        if role not in READERS:
            assert "admin or compliance or auditor or engineer" in answer.json()["detail"]

    def test_filters_and_pages(self, acme: House) -> None:
        client = acme.client(Role.AUDITOR)
        rows = [entry(acme, subject="tgt_same", verb="target.created") for _ in range(3)]
        entry(acme, actor=acme.actor(Role.ENGINEER))
        found = client.get("/api/changes/", {"subject": "tgt_same", "verb": "target.created"}).json()[
            "results"
        ]
        assert [row["id"] for row in found] == sorted((row.pk for row in rows), reverse=True)
        engineer = acme.person(Role.ENGINEER).pk
        found = client.get("/api/changes", {"actor": engineer, "verb": "target.changed"}).json()["results"]
        assert [row["actor_id"] for row in found] == [engineer]
        page = client.get("/api/changes", {"subject": "tgt_same", "limit": 2}).json()
        assert len(page["results"]) == 2
        rest = client.get(page["next"]).json()
        assert [row["id"] for row in rest["results"]] == [min(row.pk for row in rows)]
        assert rest["next"] is None

    def test_nobody_sees_another_organisation(self, acme: House, other: House) -> None:
        mine, theirs = entry(acme), entry(other)
        seen = {row["id"] for row in acme.client(Role.ADMIN).get("/api/changes?limit=200").json()["results"]}
        assert mine.pk in seen
        assert theirs.pk not in seen
        assert (
            acme.client(Role.ADMIN).get("/api/changes", {"subject": theirs.subject_id}).json()["results"]
            == []
        )

    def test_it_cannot_be_written(self, acme: House) -> None:
        for method in ("post", "put", "patch", "delete"):
            assert getattr(acme.client(Role.ADMIN), method)("/api/changes").status_code == 405


class TestAdmin:
    def staff(self, of: House, role: Role | None) -> Client:
        person = of.person(role)
        person.is_staff = True
        person.save()
        client = Client()
        client.force_login(person)
        return client

    def test_readers_see_their_own_organisation_and_cannot_write(self, acme: House, other: House) -> None:
        mine, theirs = entry(acme, subject_name="Mine-9"), entry(other, subject_name="Theirs-9")
        client = self.staff(acme, Role.AUDITOR)
        page = client.get("/admin/changes/change/").content.decode()
        assert "Mine-9" in page
        assert "Theirs-9" not in page
        assert client.get(f"/admin/changes/change/{mine.pk}/change/").status_code == 200
        assert client.get(f"/admin/changes/change/{theirs.pk}/change/").status_code == 302
        assert client.get("/admin/changes/change/add/").status_code == 403
        assert client.post(f"/admin/changes/change/{mine.pk}/change/", {"verb": "x"}).status_code == 403
        assert client.post(f"/admin/changes/change/{mine.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_others_do_not(self, acme: House) -> None:
        entry(acme)
        assert self.staff(acme, Role.DEVELOPER).get("/admin/changes/change/").status_code == 403

# SPDX-License-Identifier: Apache-2.0
"""Approvals over the API and in the admin pages."""

from typing import Any

import pytest
from django.test import Client

from apps.approvals import services
from apps.identity.domain import Role
from apps.identity.models import Person
from tests.control import House, house

pytestmark = pytest.mark.django_db
ASKED = {"subject_kind": "virtual_key", "subject_id": "key_1", "subject_name": "Key for Claims"}


@pytest.fixture
def acme() -> House:
    return house("Acme", *Role)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def ask(of: House, role: Role | None, **fields: Any) -> Any:
    return of.client(role).post("/api/approvals", ASKED | fields)


def test_from_request_to_decision(acme: House) -> None:
    made = ask(acme, None, purpose="triage", limits={"budget_usd": "50"}).json()
    assert (made["state"], made["requested_by"]) == ("pending", acme.person(None).pk)
    approver = acme.client(Role.APPROVER)
    assert [row["id"] for row in approver.get("/api/approvals?state=pending").json()["results"]] == [
        made["id"]
    ]
    answer = approver.post(f"/api/approvals/{made['id']}/decide", {"decision": "approve", "reason": "fine"})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == ("approved", "fine")
    assert acme.client(None).get(f"/api/approvals/{made['id']}/").json()["state"] == "approved"


def test_one_s_own_is_403_and_says_so(acme: House) -> None:
    made = ask(acme, Role.APPROVER).json()
    answer = acme.client(Role.APPROVER).post(f"/api/approvals/{made['id']}/decide", {"decision": "approve"})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "You asked for this yourself. A second person must decide."
    assert answer["content-type"] == "application/problem+json"


def test_conflicts_are_409(acme: House) -> None:
    made = ask(acme, None).json()
    twice = ask(acme, Role.DEVELOPER)
    assert twice.status_code == 409
    assert made["id"] in twice.json()["detail"]
    decide = f"/api/approvals/{made['id']}/decide"
    assert acme.client(Role.ADMIN).post(decide, {"decision": "deny"}).status_code == 200
    late = acme.client(Role.APPROVER).post(decide, {"decision": "approve"})
    assert late.status_code == 409
    assert late.json()["detail"] == "Admin of Acme has denied this already."


@pytest.mark.parametrize("role", [*Role, None])
def test_who_may_decide_and_who_may_look(acme: House, role: Role | None) -> None:
    made = services.request_approval(actor=house("Filler").actor(None), **ASKED)
    own = services.request_approval(actor=acme.actor(None), **ASKED)
    client = acme.client(role)
    answer = client.post(f"/api/approvals/{own.pk}/decide", {"decision": "deny"})
    assert answer.status_code == (200 if role in {Role.APPROVER, Role.ADMIN} else 403)
    looks = role in {Role.APPROVER, Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR, None}
    assert client.get(f"/api/approvals/{own.pk}").status_code == (200 if looks else 404)
    assert len(client.get("/api/approvals").json()["results"]) == (1 if looks else 0)
    assert client.get(f"/api/approvals/{made.pk}").status_code == 404


def test_other_organisations_are_not_there(acme: House, other: House) -> None:
    made = ask(acme, None).json()
    client = other.client(Role.ADMIN)
    assert client.get("/api/approvals").json()["results"] == []
    assert client.get(f"/api/approvals/{made['id']}").status_code == 404
    assert client.post(f"/api/approvals/{made['id']}/decide", {"decision": "approve"}).status_code == 404
    assert acme.client(None).get(f"/api/approvals/{made['id']}").json()["state"] == "pending"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subject_kind": "Not A Kind"}, "subject_kind"),
        ({"subject_id": ""}, "subject_id"),
        ({"state": "approved"}, "state"),
        ({"decided_by": "per_1"}, "decided_by"),
        ({"limits": {"deep": {"a": 1}}}, "limits"),
        ({"limits": []}, "limits"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"purpose": "x\x00"}, "purpose"),
    ],
)
def test_wrong_fields_are_named(acme: House, fields: dict[str, Any], field: str) -> None:
    answer = ask(acme, None, **fields)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_wrong_decisions_are_named(acme: House) -> None:
    made = ask(acme, None).json()
    for body in ({"decision": "maybe"}, {}, {"decision": "approve", "by": "me"}):
        assert acme.client(Role.ADMIN).post(f"/api/approvals/{made['id']}/decide", body).status_code == 400
    assert acme.client(Role.ADMIN).get("/api/approvals?state=odd").status_code == 400


def test_the_admin_pages_only_show_them(acme: House, other: House) -> None:
    mine, theirs = ask(acme, None).json(), ask(other, None, subject_name="Theirs-9").json()
    Person.objects.filter(pk=acme.person(Role.ADMIN).pk).update(is_staff=True)
    client = Client()
    client.force_login(acme.person(Role.ADMIN))
    page = client.get("/admin/approvals/approvalrequest/").content.decode()
    assert "Key for Claims" in page
    assert "Theirs-9" not in page
    address = "/admin/approvals/approvalrequest"
    assert client.get(f"{address}/{theirs['id']}/change/").status_code == 302
    assert client.get(f"{address}/{mine['id']}/change/").status_code == 200
    assert client.post(f"{address}/{mine['id']}/change/", {"state": "approved"}).status_code == 403
    assert acme.client(None).get(f"/api/approvals/{mine['id']}").json()["state"] == "pending"

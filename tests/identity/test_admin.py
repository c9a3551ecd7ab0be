# SPDX-License-Identifier: Apache-2.0
"""The admin pages of people: own organisation only, by role, and every edit through a service."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group as PermissionGroup
from django.test import Client

from apps.changes.selectors import history
from apps.identity import services
from apps.identity.domain import Role
from apps.identity.models import Organisation, Person, PersonalToken, Team
from tests.control import House, house

GOOD = "correct horse battery staple"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN, Role.COMPLIANCE, Role.DEVELOPER)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def staff(of: House, role: Role | None, **flags: bool) -> Client:
    """The browser of somebody who may open the admin pages."""
    person = of.person(role)
    Person.objects.filter(pk=person.pk).update(is_staff=True, **flags)
    client = Client()
    client.force_login(person)
    return client


def form(person: Person, **changes: Any) -> dict[str, Any]:
    """What a browser would send back for a person."""
    values: dict[str, Any] = {
        "email": person.email, "name": person.name, "department": person.department, "roles": person.roles,
        "teams": list(person.teams.values_list("pk", flat=True)), "is_active": "on", "new_password": "",
    }  # fmt: skip
    return values | changes


@pytest.mark.parametrize("page", ["person", "team", "group", "organisation", "personaltoken"])
def test_lists_show_the_own_organisation_only(acme: House, other: House, page: str) -> None:
    for of in (acme, other):
        services.create_group(
            actor=of.actor(Role.ADMIN), name=f"Group of {'Acme' if of is acme else 'Other'}"
        )
        services.issue_token(
            actor=of.actor(None),
            person_id=of.person(None).pk,
            name=f"Token {'Acme' if of is acme else 'Other'}",
        )
    text = staff(acme, Role.ADMIN).get(f"/admin/identity/{page}/").content.decode()
    assert "Acme" in text
    assert "Other" not in text
    everything = staff(acme, Role.ADMIN, is_superuser=True).get(f"/admin/identity/{page}/").content.decode()
    assert "Other" in everything


def test_rows_of_others_cannot_be_opened_changed_or_deleted(acme: House, other: House) -> None:
    client, theirs = staff(acme, Role.ADMIN), other.person(None)
    address = f"/admin/identity/person/{theirs.pk}/change/"
    assert client.get(address).status_code == 302
    assert client.post(address, form(theirs, name="Mine")).status_code == 302
    client.post(f"/admin/identity/team/{other.team_id}/delete/", {"post": "yes"})
    client.post(
        "/admin/identity/team/",
        {"action": "delete_selected", "_selected_action": [other.team_id], "post": "yes"},
    )
    theirs.refresh_from_db()
    assert theirs.name == "Employee of Other"
    assert Team.objects.filter(pk=other.team_id).exists()


def test_choices_in_forms_and_filters_are_the_own_organisation_s(acme: House, other: House) -> None:
    client = staff(acme, Role.ADMIN)
    for address in ("add/", f"{acme.person(None).pk}/change/", ""):
        text = client.get(f"/admin/identity/person/{address}").content.decode()
        assert "Acme claims" in text
        assert "Other claims" not in text
    answer = client.post(
        f"/admin/identity/person/{acme.person(None).pk}/change/",
        form(acme.person(None), teams=[other.team_id]),
    )
    assert answer.status_code == 200
    assert not acme.person(None).teams.filter(pk=other.team_id).exists()


def test_a_person_is_added_by_the_service(acme: House) -> None:
    client = staff(acme, Role.ADMIN)
    answer = client.post(
        "/admin/identity/person/add/",
        {
            "email": "Ada@acme.example", "name": "Ada", "department": "Law", "roles": ["auditor", "approver"],
            "teams": [acme.team_id], "is_active": "on", "new_password": GOOD,
        },
    )  # fmt: skip
    assert answer.status_code == 302
    ada = Person.objects.get(email="ada@acme.example")
    assert ada.organisation_id == acme.id
    assert ada.check_password(GOOD)
    assert ada.roles == ["approver", "auditor"]
    entry = history(acme.id, ada.pk)[0]
    assert entry.verb == "person.created"
    assert entry.actor_id == acme.person(Role.ADMIN).pk
    assert GOOD not in repr(entry.after)
    assert not LogEntry.objects.exists()


def test_a_person_is_changed_by_the_service_and_refusals_are_said(acme: House) -> None:
    client, person = staff(acme, Role.ADMIN), acme.person(Role.DEVELOPER)
    address = f"/admin/identity/person/{person.pk}/change/"
    client.post(address, form(person, roles=["engineer"], department="Ops"))
    assert [entry.verb for entry in history(acme.id, person.pk)][:2] == [
        "person.roles_changed",
        "person.changed",
    ]
    administrator = acme.person(Role.ADMIN)
    answer = client.post(
        f"/admin/identity/person/{administrator.pk}/change/",
        form(administrator, roles=[], is_staff="on"),
        follow=True,
    )
    assert "last administrator" in answer.content.decode()
    answer = client.post(address, form(person, new_password="short"), follow=True)
    assert "too short" in answer.content.decode()


@pytest.mark.parametrize("role", [Role.DEVELOPER, None])
def test_staff_without_the_role_see_nothing(acme: House, role: Role | None) -> None:
    client = staff(acme, role)
    for page in ("person", "team", "personaltoken", "organisation"):
        assert client.get(f"/admin/identity/{page}/").status_code == 403
    assert "/admin/identity/person/" not in client.get("/admin/").content.decode()


def test_lookers_look_only(acme: House) -> None:
    client, person = staff(acme, Role.COMPLIANCE), acme.person(None)
    address = f"/admin/identity/person/{person.pk}/change/"
    assert client.get(address).status_code == 200
    assert client.post(address, form(person, name="X")).status_code == 403
    assert client.get("/admin/identity/person/add/").status_code == 403


def test_administrators_are_not_staff_by_role_alone(acme: House) -> None:
    client = Client()
    client.force_login(acme.person(Role.ADMIN))
    assert client.get("/admin/identity/person/").status_code == 302


def test_people_and_organisations_cannot_be_deleted(acme: House) -> None:
    client = staff(acme, Role.ADMIN, is_superuser=True)
    for address in (f"person/{acme.person(None).pk}", f"organisation/{acme.id}"):
        assert client.post(f"/admin/identity/{address}/delete/", {"post": "yes"}).status_code == 403
    assert Person.objects.filter(pk=acme.person(None).pk).exists()


def test_settings_of_the_organisation(acme: House) -> None:
    client = staff(acme, Role.COMPLIANCE)
    client.post(f"/admin/identity/organisation/{acme.id}/change/", {"name": "Acme", "bodies": "redacted"})
    assert Organisation.objects.get(pk=acme.id).bodies == "redacted"
    assert client.get("/admin/identity/organisation/add/").status_code == 403


def test_tokens_are_looked_at_and_revoked(acme: House) -> None:
    row, _secret = services.issue_token(actor=acme.actor(None), person_id=acme.person(None).pk, name="ci")
    client = staff(acme, Role.ADMIN)
    page = client.get(f"/admin/identity/personaltoken/{row.pk}/change/").content.decode()
    assert row.digest not in page
    assert client.get("/admin/identity/personaltoken/add/").status_code == 403
    client.post("/admin/identity/personaltoken/", {"action": "revoke", "_selected_action": [row.pk]})
    assert PersonalToken.objects.get(pk=row.pk).revoked_at is not None


def test_history_is_the_change_log(acme: House) -> None:
    person = acme.person(None)
    answer = staff(acme, Role.ADMIN).get(f"/admin/identity/person/{person.pk}/history/")
    assert answer.status_code == 302
    assert answer["location"] == f"/admin/changes/change/?subject_id={person.pk}"


def test_django_s_own_groups_are_not_offered() -> None:
    assert not admin.site.is_registered(PermissionGroup)

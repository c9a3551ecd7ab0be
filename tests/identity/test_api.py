# SPDX-License-Identifier: Apache-2.0
"""The API of people, teams and tokens: roles, organisations, and problem details that name the field."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core import ids
from apps.identity import services
from apps.identity.domain import Role
from apps.identity.models import Person
from tests.control import House, house

GOOD = "correct horse battery staple"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", *Role)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


class TestTokens:
    def test_one_is_made_shown_once_used_and_revoked(self, acme: House) -> None:
        client = acme.client(None)
        answer = client.post("/api/tokens", {"name": "ci", "days": 7})
        assert answer.status_code == 201
        made = answer.json()
        mine = APIClient()
        mine.credentials(HTTP_AUTHORIZATION=f"Bearer {made['token']}")
        listed = mine.get("/api/tokens").json()["results"]
        assert [row["name"] for row in listed] == ["ci", "test"]
        assert "token" not in listed[0]
        assert "digest" not in listed[0]
        assert mine.delete(f"/api/tokens/{made['id']}").status_code == 204
        assert mine.get("/api/tokens").status_code == 401

    def test_a_token_from_a_token_ends_with_it(self, acme: House) -> None:
        client = acme.client(None)
        short = client.post("/api/tokens", {"name": "short", "days": 1}).json()
        mine = APIClient()
        mine.credentials(HTTP_AUTHORIZATION=f"Bearer {short['token']}")
        assert (
            mine.post("/api/tokens", {"name": "long", "days": 300}).json()["expires_at"]
            == short["expires_at"]
        )

    def test_others_tokens_are_not_there(self, acme: House, other: House) -> None:
        made = acme.client(None).post("/api/tokens", {"name": "ci"}).json()
        address = f"/api/tokens/{made['id']}"
        assert acme.client(Role.DEVELOPER).get(address).status_code == 404
        assert acme.client(Role.DEVELOPER).delete(address).status_code == 404
        assert other.client(Role.ADMIN).delete(address).status_code == 404
        assert acme.client(Role.ADMIN).delete(address).status_code == 204


class TestPeople:
    @pytest.mark.parametrize("role", [*Role, None])
    def test_administrators_only(self, acme: House, role: Role | None) -> None:
        client, person = acme.client(role), acme.person(None)
        wanted = 200 if role is Role.ADMIN else 403
        assert client.get("/api/people").status_code == wanted
        assert client.get(f"/api/people/{person.pk}").status_code == wanted
        assert client.patch(f"/api/people/{person.pk}", {"name": "N"}).status_code == wanted
        made = client.post("/api/people", {"email": "n@acme.example", "name": "N"})
        assert made.status_code == (201 if role is Role.ADMIN else 403)

    def test_a_person_is_made_and_changed(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        group = services.create_group(actor=acme.actor(Role.ADMIN), name="all")
        made = client.post(
            "/api/people",
            {
                "email": "Ada@acme.example", "name": "Ada", "roles": ["auditor"], "groups": [group.pk],
                "teams": [acme.team_id], "password": GOOD,
            },
        ).json()  # fmt: skip
        assert made["email"] == "ada@acme.example"
        assert (made["groups"], made["teams"]) == ([group.pk], [acme.team_id])
        assert "password" not in made
        changed = client.patch(
            f"/api/people/{made['id']}", {"roles": ["engineer"], "groups": [], "is_active": False}
        ).json()
        assert (changed["roles"], changed["groups"], changed["is_active"]) == (["engineer"], [], False)
        assert changed["teams"] == [acme.team_id]
        assert client.delete(f"/api/people/{made['id']}").status_code == 405

    def test_no_role_reaches_another_organisation(self, acme: House, other: House) -> None:
        client, theirs = acme.client(Role.ADMIN), other.person(None)
        seen = {row["id"] for row in client.get("/api/people?limit=200").json()["results"]}
        assert seen == {person.pk for person in acme.people.values()}
        assert client.get(f"/api/people/{theirs.pk}").status_code == 404
        assert client.patch(f"/api/people/{theirs.pk}", {"name": "Mine"}).status_code == 404
        answer = client.patch(f"/api/people/{acme.person(None).pk}", {"teams": [other.team_id]})
        assert answer.status_code == 400
        assert "teams" in answer.json()["errors"]
        assert client.get(f"/api/teams/{other.team_id}").status_code == 404
        assert client.put(f"/api/teams/{other.team_id}", {"name": "Mine"}).status_code == 404
        assert client.delete(f"/api/teams/{other.team_id}").status_code == 404

    def test_an_administrator_cannot_give_what_they_do_not_have(self, acme: House) -> None:
        answer = acme.client(Role.ADMIN).post(
            "/api/people", {"email": "x@acme.example", "name": "X", "is_superuser": True}
        )
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == ["is_superuser"]


class TestProblems:
    def test_wrong_fields_are_named(self, acme: House) -> None:
        answer = acme.client(Role.ADMIN).post(
            "/api/people", {"email": "no", "name": "", "roles": ["auditor", "king"], "colour": "red"}
        )
        assert answer.status_code == 400
        assert answer["content-type"] == "application/problem+json"
        said = answer.json()
        assert (said["status"], said["title"], said["type"]) == (400, "Bad Request", "about:blank")
        assert list(said["errors"]) == ["colour"]
        answer = acme.client(Role.ADMIN).post("/api/people", {"email": "no", "roles": ["auditor", "king"]})
        assert set(answer.json()["errors"]) == {"email", "name", "roles.1"}

    def test_rules_of_services_are_named_too(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        answer = client.post("/api/people", {"email": "a@acme.example", "name": "A", "password": "short"})
        assert list(answer.json()["errors"]) == ["password"]
        answer = client.post("/api/people", {"email": "admin@acme.example", "name": "A"})
        assert list(answer.json()["errors"]) == ["email"]
        answer = client.patch(f"/api/people/{acme.person(Role.ADMIN).pk}", {"is_active": False})
        assert "last administrator" in answer.json()["errors"]["detail"][0]

    def test_broken_bodies_and_types_get_their_status(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        for body in ("{", "[]", "null", '"x"', "1", '{"name": {"a": 1}}', '{"name": "a\\u0000b"}'):
            answer = client.post("/api/teams", body, content_type="application/json")
            assert answer.status_code == 400, body
            assert answer["content-type"] == "application/problem+json"
        assert client.post("/api/teams", "name=x", content_type="text/plain").status_code == 415
        assert client.post("/api/teams", {"name": "x" * 201}).json()["errors"].keys() == {"name"}

    def test_what_is_not_there_says_so_without_a_name(self, acme: House) -> None:
        for identifier in (ids.new("per"), "x", "per_" + "0" * 32, ids.new("org")):
            answer = acme.client(Role.ADMIN).get(f"/api/people/{identifier}")
            assert answer.status_code == 404
            assert identifier not in answer.json()["detail"]
            assert answer["content-type"] == "application/problem+json"

    def test_a_fault_of_ours_says_nothing_of_its_inside(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(**_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(services, "create_team", broken)
        answer = acme.client(Role.ADMIN).post("/api/teams", {"name": "x"})
        assert answer.status_code == 500
        assert "secret detail" not in answer.content.decode()
        assert answer["content-type"] == "application/problem+json"

    def test_a_session_needs_its_csrf_token_for_writing(self, acme: House) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(acme.person(Role.ADMIN))
        assert client.get("/api/teams").status_code == 200
        answer = client.post("/api/teams", {"name": "x"}, content_type="application/json")
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]


def test_superusers_see_all_organisations(acme: House, other: House) -> None:
    person = acme.person(Role.ADMIN)
    Person.objects.filter(pk=person.pk).update(is_superuser=True)
    seen = {row["organisation_id"] for row in acme.client(Role.ADMIN).get("/api/people").json()["results"]}
    assert seen == {acme.id, other.id}


class TestAddressesThatNobodyHas:
    @pytest.mark.parametrize(
        "address", ["/api", "/api/", "/api/nothing", "/api/providers/a/b/c", "/api/.env"]
    )
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
    def test_a_stranger_gets_401_and_a_person_404(self, acme: House, address: str, method: str) -> None:
        stranger = getattr(APIClient(), method)(address)
        person = getattr(acme.client(None), method)(address)
        assert stranger.status_code == 401
        assert stranger["www-authenticate"].startswith("Bearer")
        assert stranger.json()["status"] == 401
        assert person.status_code == 404
        assert person["content-type"] == "application/problem+json"

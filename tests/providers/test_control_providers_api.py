# SPDX-License-Identifier: Apache-2.0
"""Providers and models over the API and in admin; the credential comes out nowhere."""

from typing import Any

import pytest
from django.test import Client

from apps.changes.domain import Role
from apps.providers import selectors, services
from tests.control import House, house

SECRET = "upstream-credential-0123456789"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer, a compliance officer and an employee."""
    return house("Acme", Role.ENGINEER, Role.COMPLIANCE)


@pytest.fixture
def other() -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


def provider(acme: House, **fields: Any) -> Any:
    values = {"name": "Cloud", "base_url": "https://api.example.com/v1", "credential": SECRET} | fields
    return services.create_provider(actor=acme.actor(Role.ENGINEER), **values)


class TestApi:
    def test_create_read_change_delete(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        made = client.post(
            "/api/providers",
            {"name": "Cloud", "base_url": "https://api.example.com/v1/", "credential": SECRET},
        )
        assert made.status_code == 201, made.content
        row = made.json()
        assert row["has_credential"] is True
        assert row["base_url"] == "https://api.example.com/v1"
        one = f"/api/providers/{row['id']}"
        assert client.get(one).json() == client.get(f"{one}/").json() == row
        assert client.patch(one, {"enabled": False}).json() == row | {"enabled": False}
        put = client.put(one, {"name": "Cloud 2", "base_url": "https://api.example.com/v1"})
        assert put.json() == row | {"name": "Cloud 2"}
        assert [item["id"] for item in client.get("/api/providers").json()["results"]] == [row["id"]]
        assert client.delete(one).status_code == 204
        assert client.get(one).status_code == 404

    def test_the_credential_is_in_no_answer(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        made = client.post(
            "/api/providers", {"name": "Cloud", "base_url": "https://api.example.com", "credential": SECRET}
        )
        one = f"/api/providers/{made.json()['id']}"
        answers = [
            made,
            client.get(one),
            client.get("/api/providers"),
            client.patch(one, {"credential": SECRET}),
        ]
        answers += [client.patch(one, {"credential": f"{SECRET}\n2"}), client.options(one)]
        for answer in answers:
            assert SECRET not in answer.content.decode()
            assert (
                '"credential":' not in answer.content.decode()
                or answer is answers[-1]
                or answer.status_code == 400
            )

    def test_models_and_rates_as_exact_text(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        made = client.post("/api/models", {"name": "m", "input_rate": "0.15", "output_rate": "0.60"})
        assert made.status_code == 201, made.content
        row = made.json()
        assert (row["input_rate"], row["output_rate"], row["request_rate"]) == ("0.15", "0.60", "0.00")
        assert row["price_version"] == 1
        one = f"/api/models/{row['id']}"
        assert client.patch(one, {"output_rate": "0.7"}).json()["price_version"] == 2
        assert client.patch(one, {"input_rate": None}).status_code == 400
        unpriced = client.put(one, {"name": "m", "default": True}).json()
        assert (unpriced["input_rate"], unpriced["price_version"], unpriced["default"]) == (None, 3, True)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"nmae": "x"}, "nmae"),
            ({"private_allowed": True}, "private_allowed"),
            ({"id": "prv_1"}, "id"),
            ({"has_credential": True}, "has_credential"),
            ({"organisation_id": "org_1"}, "organisation_id"),
            ({"base_url": "http://10.0.0.1"}, "base_url"),
            ({"dialect": "morse"}, "dialect"),
            ({"connect_seconds": "soon"}, "connect_seconds"),
            ({"connect_seconds": "inf"}, "connect_seconds"),
            ({"name": ""}, "name"),
            ({"name": None}, "name"),
            ({"name": "a\u0000b"}, "name"),
        ],
    )
    def test_wrong_fields_are_named(self, acme: House, body: dict[str, Any], field: str) -> None:
        row = provider(acme)
        answer = acme.client(Role.ENGINEER).patch(f"/api/providers/{row.id}", body)
        assert answer.status_code == 400
        assert set(answer.json()["errors"]) == {field}

    @pytest.mark.parametrize("body", ["[]", "null", '"text"', "{", "[1]"])
    def test_bodies_that_are_no_object(self, acme: House, body: str) -> None:
        answer = acme.client(Role.ENGINEER).post("/api/models", body, content_type="application/json")
        assert answer.status_code == 400

    @pytest.mark.parametrize("room", ["providers", "models"])
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
    def test_strangers_get_401_whatever_is_there(self, room: str, method: str) -> None:
        for address in (f"/api/{room}", f"/api/{room}/nothing", f"/api/{room}/prv_0190"):
            answer = Client().generic(method.upper(), address, b"{}", content_type="application/json")
            assert answer.status_code == 401, address
            assert answer["www-authenticate"].startswith("Bearer")

    def test_roles_are_asked_before_rows(self, acme: House) -> None:
        row = provider(acme)
        employee, officer = acme.client(None), acme.client(Role.COMPLIANCE)
        for address in ("/api/providers", f"/api/providers/{row.id}", "/api/providers/nothing"):
            assert employee.get(address).status_code == 403
        assert officer.get(f"/api/providers/{row.id}").status_code == 200
        for method in (officer.patch, officer.put, officer.delete):
            assert method(f"/api/providers/{row.id}", {}).status_code == 403
            assert method("/api/providers/nothing", {}).status_code == 403
        assert officer.post("/api/providers", {}).status_code == 403

    def test_rows_of_others_are_not_there(self, acme: House, other: House) -> None:
        row = provider(acme)
        model = services.create_model(actor=acme.actor(Role.ENGINEER), name="m")
        client = other.client(Role.ENGINEER)
        for address in (f"/api/providers/{row.id}", f"/api/models/{model.id}", "/api/providers/a%00b"):
            assert client.get(address).status_code == 404
            assert client.patch(address, {"enabled": False}).status_code == 404
            assert client.delete(address).status_code == 404
        assert client.get("/api/providers").json()["results"] == []
        assert selectors.providers(acme.id).get(id=row.id).enabled

    def test_pages_by_cursor(self, acme: House) -> None:
        made = [provider(acme, name=f"p{number}").id for number in range(3)]
        client = acme.client(Role.ENGINEER)
        first = client.get("/api/providers?limit=2").json()
        second = client.get(first["next"]).json()
        assert [row["id"] for row in first["results"] + second["results"]] == sorted(made, reverse=True)


class TestAdmin:
    def login(self, acme: House) -> Client:
        person = acme.person(Role.ENGINEER)
        person.is_staff = True
        person.save()
        client = Client()
        client.force_login(person)
        return client

    def test_a_credential_goes_in_and_never_comes_out(self, acme: House) -> None:
        client = self.login(acme)
        form = {
            "name": "Cloud",
            "dialect": "openai",
            "base_url": "https://api.example.com",
            "new_credential": SECRET,
        }
        form |= {"connect_seconds": "5", "answer_seconds": "60", "silence_seconds": "60", "enabled": "on"}
        answer = client.post("/admin/providers/provider/add/", form)
        assert answer.status_code == 302, answer.content.decode()
        row = selectors.providers(acme.id).get()
        assert row.has_credential
        page = client.get(f"/admin/providers/provider/{row.id}/change/")
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        del form["new_credential"]
        client.post(f"/admin/providers/provider/{row.id}/change/", form | {"name": "Renamed"})
        row = selectors.providers(acme.id).get()
        assert (row.name, row.has_credential) == ("Renamed", True)
        client.post(f"/admin/providers/provider/{row.id}/change/", form | {"no_credential": "on"})
        assert not selectors.providers(acme.id).get().has_credential
        assert client.post(f"/admin/providers/provider/{row.id}/delete/", {"post": "yes"}).status_code == 302
        assert not selectors.providers(acme.id).exists()

    def test_lists_show_the_own_organisation(self, acme: House, other: House) -> None:
        provider(acme, name="Ours")
        theirs = provider(other, name="Theirs")
        client = self.login(acme)
        page = client.get("/admin/providers/provider/").content.decode()
        assert "Ours" in page
        assert "Theirs" not in page
        assert client.get(f"/admin/providers/provider/{theirs.id}/change/").status_code == 302
        services.create_model(actor=acme.actor(Role.ENGINEER), name="gpt-x")
        assert "gpt-x" in client.get("/admin/providers/model/").content.decode()

    def test_what_a_service_refuses_is_said_on_the_page(self, acme: House) -> None:
        client = self.login(acme)
        form = {"name": "Cloud", "dialect": "openai", "base_url": "http://10.0.0.1", "connect_seconds": "5"}
        form |= {"answer_seconds": "60", "silence_seconds": "60"}
        answer = client.post("/admin/providers/provider/add/", form, follow=True)
        assert "private address" in answer.content.decode()
        assert not selectors.providers(acme.id).exists()

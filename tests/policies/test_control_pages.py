# SPDX-License-Identifier: Apache-2.0
"""Policies over the control API and on the admin page."""

from typing import Any

import pytest
from django.test import Client

from apps.changes.domain import Role
from apps.core.tenancy import EVERYONE
from apps.policies import drafts, selectors
from apps.policies.forms import SCOPE_LABELS, PolicyForm
from apps.policies.kinds import KINDS
from tests.control import House
from tests.policies.rows import CARDS, EMAILS, create

ADMIN_ADD, ADMIN_LIST = "/admin/policies/policyrow/add/", "/admin/policies/policyrow/"


class TestApi:
    BODY: dict[str, Any] = {"name": "No cards", "detectors": CARDS, "scope": {"models": ["small"]}}

    def test_create_read_change_delete(self, acme: House) -> None:
        client = acme.client(Role.COMPLIANCE)
        made = client.post("/api/policies", self.BODY, format="json")
        assert made.status_code == 201
        assert made.json() == {
            "id": made.json()["id"], "organisation_id": acme.id, "name": "No cards", "version": 1, "enabled": True,
            "phases": ["input", "output"], "action": "block", "detectors": CARDS, "scope": {"models": ["small"]}, "fail_closed": True,
        }  # fmt: skip
        address = f"/api/policies/{made.json()['id']}"
        assert client.get(address + "/").json() == made.json()
        patched = client.patch(address, {"action": "redact", "phases": ["output"]}, format="json").json()
        assert (patched["version"], patched["action"], patched["phases"], patched["scope"]) == (
            2,
            "redact",
            ["output"],
            {"models": ["small"]},
        )
        put = client.put(address, {"name": "No cards", "detectors": CARDS}, format="json").json()
        assert (put["version"], put["action"], put["scope"]) == (3, "block", {})
        assert client.patch(address, {"enabled": False}, format="json").json()["version"] == 3
        assert [row["number"] for row in client.get(f"{address}/versions").json()["results"]] == [3, 2, 1]
        assert [row["id"] for row in client.get("/api/policies").json()["results"]] == [made.json()["id"]]
        assert client.delete(address).status_code == 204
        assert client.get(address).status_code == 404
        assert len(client.get(f"{address}/versions/").json()["results"]) == 3

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"detectors": [{"kind": "pii", "params": {"entities": ["SHOE_SIZE"]}}]}, "detectors"),
            ({"detectors": [{"kind": "palmistry"}]}, "detectors"),
            ({"detectors": []}, "detectors"),
            ({"phases": ["sideways"]}, "phases"),
            ({"action": "allow"}, "action"),
            ({"scope": {"planets": []}}, "scope"),
            ({"version": 7}, "version"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_wrong_input_is_named(self, acme: House, more: dict[str, Any], field: str) -> None:
        answer = acme.client(Role.COMPLIANCE).post("/api/policies", self.BODY | more, format="json")
        assert answer.status_code == 400
        assert any(name.partition(".")[0] == field for name in answer.json()["errors"])
        assert not selectors.policies(EVERYONE).exists()

    def test_roles(self, acme: House, other: House) -> None:
        row = create(acme)
        address = f"/api/policies/{row.id}"
        for role, reads, writes in (
            (Role.COMPLIANCE, 200, 200), (Role.ADMIN, 200, 200), (Role.ENGINEER, 200, 403), (Role.AUDITOR, 200, 403),
            (Role.DEVELOPER, 403, 403), (None, 403, 403),
        ):  # fmt: skip
            client = acme.client(role)
            for path in ("/api/policies", address, f"{address}/versions", "/api/policies/kinds"):
                assert client.get(path).status_code == reads, (role, path)
            assert client.patch(address, {"action": "log"}, format="json").status_code == writes
        stranger = other.client(Role.COMPLIANCE)
        assert stranger.get(address).status_code == 404
        assert stranger.patch(address, {"action": "log"}, format="json").status_code == 404
        assert stranger.delete(address).status_code == 404
        assert stranger.get(f"{address}/versions").json()["results"] == []
        assert Client().get(address).status_code == 401
        assert Client().get("/api/policies/kinds").status_code == 401

    def test_kinds_come_with_the_schema_of_their_params(self, acme: House) -> None:
        kinds = acme.client(Role.COMPLIANCE).get("/api/policies/kinds").json()
        assert list(kinds) == [name for name, kind in KINDS.items() if kind.OFFERED]
        assert kinds["pii"]["label"] == "Personal data"
        assert kinds["pii"]["params"]["properties"]["entities"]["type"] == "array"


class TestAdmin:
    FORM: dict[str, Any] = {
        "name": "No cards", "enabled": "on", "pii__entities": ["CREDIT_CARD"], "phases": ["input"], "action": "block",
        "fail_closed": "True", "scope__departments": "Finance\n\n Legal ",
    }  # fmt: skip

    def client(self, of: House, role: Role | None) -> Client:
        person = of.person(role)
        person.is_staff = True
        person.save()
        client = Client()
        client.force_login(person)
        return client

    def test_a_policy_is_written_by_form(self, acme: House) -> None:
        client = self.client(acme, Role.COMPLIANCE)
        page = client.get(ADMIN_ADD)
        assert page.status_code == 200
        text = page.content.decode()
        assert 'type="checkbox" name="pii__entities" value="CREDIT_CARD"' in text
        assert "Credit card" in text
        assert client.post(ADMIN_ADD, self.FORM).status_code == 302
        (row,) = selectors.policies(acme.id)
        assert (row.name, row.detectors, row.phases, row.action, row.fail_closed) == (
            "No cards",
            CARDS,
            ["input"],
            "block",
            True,
        )
        assert row.scope == {"departments": ["Finance", "Legal"]}
        edit = f"{ADMIN_LIST}{row.id}/change/"
        shown = client.get(edit).content.decode()
        assert 'value="CREDIT_CARD" id="id_pii__entities_0" checked' in shown
        assert "Finance\nLegal" in shown
        assert (
            client.post(
                edit,
                self.FORM
                | {"action": "redact", "fail_closed": "False", "pii__entities": ["CREDIT_CARD", "EMAIL"]},
            ).status_code
            == 302
        )
        row = selectors.policies(acme.id).get()
        assert (row.version, row.action, row.fail_closed) == (2, "redact", False)
        assert row.detectors == [{"kind": "pii", "params": {"entities": ["CREDIT_CARD", "EMAIL"]}}]
        assert client.post(f"{ADMIN_LIST}{row.id}/delete/", {"post": "yes"}).status_code == 302
        assert not selectors.policies(acme.id).exists()

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"pii__entities": []}, "Choose at least one thing to look for."),
            ({"pii__entities": ["SHOE_SIZE"]}, "SHOE_SIZE is not one of the available choices"),
            ({"phases": []}, "This field is required."),
            ({"action": "allow"}, "allow is not one of the available choices"),
            ({"scope__models": "x" * 300}, "models: give a list of names or ids."),
        ],
    )
    def test_wrong_input_keeps_the_form(self, acme: House, more: dict[str, Any], said: str) -> None:
        page = self.client(acme, Role.COMPLIANCE).post(ADMIN_ADD, self.FORM | more)
        assert page.status_code == 200
        assert said in page.content.decode()
        assert not selectors.policies(acme.id).exists()

    def test_detectors_that_the_form_does_not_show_stay(self, acme: House) -> None:
        hidden = [{"kind": "dummy", "params": {"literal": "x"}}, EMAILS[0]]
        row = create(acme, name="No cards", detectors=[*CARDS, *hidden])
        client = self.client(acme, Role.COMPLIANCE)
        assert client.post(f"{ADMIN_LIST}{row.id}/change/", self.FORM | {"action": "log"}).status_code == 302
        row = selectors.policies(acme.id).get()
        assert (row.action, row.detectors) == ("log", [*CARDS, *hidden])

    def test_who_may_do_what(self, acme: House, other: House) -> None:
        row = create(acme)
        edit = f"{ADMIN_LIST}{row.id}/change/"
        for role in (Role.ENGINEER, Role.AUDITOR):
            client = self.client(acme, role)
            page = client.get(edit)
            assert page.status_code == 200
            assert "CREDIT_CARD" in page.content.decode()
            assert client.post(edit, self.FORM).status_code == 403
            assert client.get(ADMIN_ADD).status_code == 403
        assert self.client(acme, Role.DEVELOPER).get(edit).status_code in (302, 403)
        assert "PCI card mask" not in self.client(other, Role.COMPLIANCE).get(ADMIN_LIST).content.decode()
        assert self.client(other, Role.COMPLIANCE).post(edit, self.FORM).status_code in (302, 403, 404)
        assert selectors.policies(acme.id).get().version == 1

    def test_versions_can_be_read_and_nothing_else(self, acme: House) -> None:
        row = create(acme)
        version = selectors.versions(acme.id, row.id).get()
        client = self.client(acme, Role.AUDITOR)
        address = "/admin/policies/policyversion/"
        assert row.id in client.get(address).content.decode()
        assert client.get(f"{address}{version.id}/change/").status_code == 200
        assert (
            self.client(acme, Role.ADMIN).post(f"{address}{version.id}/delete/", {"post": "yes"}).status_code
            == 403
        )
        assert self.client(acme, Role.ADMIN).get(f"{address}add/").status_code == 403

    def test_every_field_of_a_scope_is_in_the_form(self) -> None:
        assert tuple(SCOPE_LABELS) == drafts.SCOPE_FIELDS
        assert {f"scope__{name}" for name in SCOPE_LABELS} < set(PolicyForm.base_fields)

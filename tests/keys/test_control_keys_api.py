# SPDX-License-Identifier: Apache-2.0
"""Virtual keys over the API and in admin: the secret is shown once, other organisations see nothing."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.changes.domain import Role
from apps.changes.selectors import history
from apps.core.django_ring import ring
from apps.keys import selectors, services
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer, an administrator and a compliance officer."""
    return house("Acme", Role.ENGINEER, Role.ADMIN, Role.COMPLIANCE)


@pytest.fixture
def other() -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


def issue(of: House, **fields: Any) -> Any:
    return services.issue_key(
        actor=of.actor(Role.ENGINEER), **{"name": "Claims bot", "team_id": of.team_id, **fields}
    )


def budget(of: House, name: str = "Month", **fields: Any) -> Any:
    return services.create_budget(actor=of.actor(Role.ENGINEER), name=name, **fields)


class TestApi:
    address = "/api/enterprise/vkeys"

    def test_the_secret_is_in_the_first_answer_only(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        made = client.post(self.address, {"name": "Bot", "team_id": acme.team_id, "models": ["gpt-*"]})
        assert made.status_code == 201, made.content
        row = made.json()
        secret = row.pop("secret")
        assert made["cache-control"] == "no-store"
        assert (row["team"], row["person"], row["models"], row["budget_ids"]) == (
            "Acme claims",
            None,
            ["gpt-*"],
            [],
        )
        one = f"{self.address}/{row['id']}"
        changed = client.patch(one, {"requests_per_minute": 9, "person_id": acme.person(None).id})
        assert changed.json() == row | {
            "requests_per_minute": 9, "person_id": acme.person(None).id, "person": "Employee of Acme"
        }  # fmt: skip
        answers = [
            client.get(one),
            client.get(self.address),
            changed,
            client.put(one, {"name": "Bot", "team_id": acme.team_id}),
        ]
        digest = ring().digest(secret)
        for found in answers:
            assert found.status_code == 200
            assert secret not in found.content.decode()
            assert digest not in found.content.decode()
        assert answers[-1].json() == row | {"models": ["*"]}
        assert client.delete(one).status_code == 204
        assert client.get(one).status_code == 404

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"secret": "sk-sf-1"}, "secret"),
            ({"digest": "0" * 64}, "digest"),
            ({"hint": "x"}, "hint"),
            ({"allowed_models": []}, "allowed_models"),
            ({"models": "gpt"}, "models"),
            ({"models": ["a\nb"]}, "models"),
            ({"team_id": "team_x"}, "team_id"),
            ({"budget_ids": ["x"]}, "budget_ids"),
            ({"expires_at": "soon"}, "expires_at"),
            ({"requests_at_once": 0}, "requests_at_once"),
        ],
    )
    def test_wrong_fields_are_named(self, acme: House, change: dict[str, Any], field: str) -> None:
        key, _secret = issue(acme)
        found = acme.client(Role.ENGINEER).patch(f"{self.address}/{key.id}", change)
        assert found.status_code == 400
        assert {name.partition(".")[0] for name in found.json()["errors"]} == {field}

    def test_strangers_roles_and_other_organisations(self, acme: House, other: House) -> None:
        key, _secret = issue(acme)
        one = f"{self.address}/{key.id}"
        assert Client().get(one).status_code == Client().get(f"{self.address}/x").status_code == 401
        assert acme.client(None).get(one).status_code == 403
        officer = acme.client(Role.COMPLIANCE)
        assert officer.get(one).status_code == 200
        assert officer.delete(one).status_code == 403
        stranger = other.client(Role.ENGINEER)
        assert stranger.get(one).status_code == 404
        assert stranger.delete(one).status_code == 404
        assert stranger.get(self.address).json()["results"] == []

    def test_lists_do_not_ask_once_per_row(self, acme: House, django_assert_num_queries: Any) -> None:
        client = acme.client(Role.ENGINEER)
        own = budget(acme)
        issue(acme, budget_ids=[own.id])
        client.get(self.address)
        with django_assert_num_queries(3):
            client.get(self.address)
        for number in range(5):
            issue(acme, name=f"k{number}", person_id=acme.person(None).id, budget_ids=[own.id])
        with django_assert_num_queries(3):
            assert len(client.get(self.address).json()["results"]) == 6


class TestAdmin:
    @pytest.fixture
    def pages(self, acme: House) -> Client:
        """A browser in which the engineer is signed in."""
        person = acme.person(Role.ENGINEER)
        person.is_staff = True
        person.save()
        client = Client()
        client.force_login(person)
        return client

    def test_issue_disable_delete(self, acme: House, pages: Client) -> None:
        form = {"name": "Bot", "team": acme.team_id, "models": "gpt-*\n\nm\n", "enabled": "on"}
        page = pages.post("/admin/keys/virtualkey/add/", form, follow=True).content.decode()
        secret = re.search(r"sk-sf-[0-9a-f]{48}", page)
        assert secret is not None
        key = selectors.key_of(secret[0])
        assert key is not None
        assert key.allowed_models == ["gpt-*", "m"]
        again = pages.get("/admin/keys/virtualkey/").content.decode()
        assert key.hint in again
        assert secret[0] not in again + pages.get(f"/admin/keys/virtualkey/{key.id}/change/").content.decode()
        chosen = {"action": "disable", "_selected_action": [key.id]}
        pages.post("/admin/keys/virtualkey/", chosen)
        assert not selectors.keys(acme.id).get().enabled
        pages.post("/admin/keys/virtualkey/", chosen | {"action": "enable"})
        assert selectors.keys(acme.id).get().enabled
        pages.post(f"/admin/keys/virtualkey/{key.id}/change/", form | {"name": "Robot"})
        assert selectors.keys(acme.id).get().name == "Robot"
        pages.post(f"/admin/keys/virtualkey/{key.id}/delete/", {"post": "yes"})
        assert not selectors.keys(acme.id).exists()
        verbs = [entry.verb for entry in history(acme.id, key.id)]
        assert verbs == ["key.deleted", "key.changed", "key.enabled", "key.disabled", "key.issued"]

    def test_budgets_in_dollars(self, acme: House, pages: Client) -> None:
        form = {
            "name": "Month",
            "node": "key",
            "window": "month",
            "zone": "UTC",
            "limit": "12.5",
            "hard": "on",
        }
        assert pages.post("/admin/keys/budgetrow/add/", form).status_code == 302
        row = selectors.budget_rows(acme.id).get()
        assert row.limit_micro == 12_500_000
        assert "12.50" in pages.get("/admin/keys/budgetrow/").content.decode()
        pages.post(f"/admin/keys/budgetrow/{row.id}/change/", form | {"limit": ""})
        assert selectors.budget_rows(acme.id).get().limit_micro is None

    def test_choices_are_of_the_own_organisation(self, acme: House, other: House, pages: Client) -> None:
        theirs, _secret = issue(other)
        page = pages.get("/admin/keys/virtualkey/add/").content.decode()
        assert acme.team_id in page
        assert other.team_id not in page
        assert other.person(None).id not in page
        assert theirs.hint not in pages.get("/admin/keys/virtualkey/").content.decode()

# SPDX-License-Identifier: Apache-2.0
"""Policies as people write them: services, versions, API, publication, the admin page."""

import threading
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DatabaseError, connection, transaction
from django.test import Client

from apps.changes.domain import Forbidden, Role
from apps.changes.publish import publish_everything
from apps.changes.selectors import history
from apps.core import redis_names
from apps.core.tenancy import EVERYONE
from apps.core.values import decode
from apps.policies import domain, drafts, selectors, services
from apps.policies.engine import Bundle
from apps.policies.forms import SCOPE_LABELS, PolicyForm
from apps.policies.models import AppendOnlyError, PolicyRow, PolicyVersion
from tests.control import House, house
from tests.policies.build import ANN, CARD, user

CARDS = [{"kind": "pii", "params": {"entities": ["CREDIT_CARD"]}}]
EMAILS = [{"kind": "pii", "params": {"entities": ["EMAIL"]}}]
ADMIN_ADD, ADMIN_LIST = "/admin/policies/policyrow/add/", "/admin/policies/policyrow/"


@pytest.fixture
def acme(db: None) -> House:
    """An organisation with everybody who may do something about policies."""
    return house("Acme", Role.COMPLIANCE, Role.ADMIN, Role.ENGINEER, Role.AUDITOR, Role.DEVELOPER)


@pytest.fixture
def other(db: None) -> House:
    """Another organisation."""
    return house("Other", Role.COMPLIANCE)


def create(of: House, name: str = "PCI card mask", **fields: Any) -> PolicyRow:
    values: dict[str, Any] = {"detectors": CARDS, "action": "redact", **fields}
    return services.create_policy(actor=of.actor(Role.COMPLIANCE), name=name, **values)


def change(of: House, row: PolicyRow, **fields: Any) -> PolicyRow:
    return services.change_policy(actor=of.actor(Role.COMPLIANCE), policy_id=row.id, **fields)


class TestServices:
    def test_each_changed_content_is_a_version(self, acme: House) -> None:
        row = create(acme)
        change(acme, row, action="block", reason="auditor asked")
        change(acme, row, action="block")
        services.disable_policy(actor=acme.actor(Role.ADMIN), policy_id=row.id)
        changed = change(acme, row, detectors=EMAILS, enabled=True)
        assert (row.version, changed.version) == (1, 3)
        kept = list(selectors.versions(acme.id, row.id))
        assert [(v.number, v.content["action"], v.content["detectors"]) for v in kept] == [
            (3, "block", EMAILS), (2, "block", CARDS), (1, "redact", CARDS)
        ]  # fmt: skip
        assert kept[1].reason == "auditor asked"
        assert kept[1].author_id == acme.person(Role.COMPLIANCE).id

    def test_switching_is_an_event_of_its_own_and_no_version(self, acme: House) -> None:
        row = create(acme)
        compliance = acme.actor(Role.COMPLIANCE)
        assert not services.disable_policy(actor=compliance, policy_id=row.id, reason="drill").enabled
        services.disable_policy(actor=compliance, policy_id=row.id)
        assert services.enable_policy(actor=compliance, policy_id=row.id).version == 1
        services.delete_policy(actor=compliance, policy_id=row.id)
        log = history(acme.id, row.id)
        assert [entry.verb for entry in log] == [
            "policy.deleted",
            "policy.enabled",
            "policy.disabled",
            "policy.created",
        ]
        assert log[2].reason == "drill"
        assert log[3].after == {
            "version": 1, "enabled": True, "name": "PCI card mask", "phases": ["input", "output"], "action": "redact",
            "detectors": CARDS, "scope": {}, "fail_closed": True,
        }  # fmt: skip

    def test_versions_outlive_the_policy_and_cannot_be_altered(self, acme: House) -> None:
        row = create(acme)
        services.delete_policy(actor=acme.actor(Role.ADMIN), policy_id=row.id)
        version = selectors.versions(acme.id, row.id).get()
        for attempt in (
            version.save,
            version.delete,
            PolicyVersion.objects.all().delete,
            lambda: PolicyVersion.objects.all().update(number=9),
        ):
            with pytest.raises(AppendOnlyError):
                attempt()
        for statement in (
            "UPDATE policies_policyversion SET number = 9",
            "DELETE FROM policies_policyversion",
        ):
            with (
                pytest.raises(DatabaseError, match="only grow"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)

    @pytest.mark.parametrize(
        ("fields", "field", "said"),
        [
            ({"name": ""}, "name", "blank"),
            ({"name": "x" * 81}, "name", "80"),
            ({"phases": []}, "phases", "prompts, answers"),
            ({"phases": ["sideways"]}, "phases", "input, output"),
            ({"phases": "input"}, "phases", "list"),
            ({"action": "allow"}, "action", "blocks"),
            ({"action": "explode"}, "action", "Choose from"),
            ({"detectors": []}, "detectors", "at least one"),
            ({"detectors": "pii"}, "detectors", "list"),
            ({"detectors": CARDS * 21}, "detectors", "at most 20"),
            ({"detectors": [{"kind": "palmistry"}]}, "detectors", "pii"),
            ({"detectors": [{"kind": ["pii"]}]}, "detectors", "kind"),
            ({"detectors": ["pii"]}, "detectors", "kind"),
            (
                {"detectors": [{"kind": "pii", "params": {"entities": ["SHOE_SIZE"]}}]},
                "detectors",
                "pii: entities: Invalid enum value",
            ),
            (
                {"detectors": [{"kind": "pii", "params": {"entities": []}}]},
                "detectors",
                "pii: entities: Expected",
            ),
            ({"detectors": [{"kind": "pii"}]}, "detectors", "missing required field `entities`"),
            (
                {"detectors": [{"kind": "dummy", "params": {"delay_ms": 10_000}}]},
                "detectors",
                "dummy: delay_ms: Expected",
            ),
            ({"scope": []}, "scope", "object"),
            ({"scope": {"planets": ["x"]}}, "scope", "planets"),
            ({"scope": {"models": "small"}}, "scope", "models: give a list"),
            ({"scope": {"models": [""]}}, "scope", "models"),
            ({"scope": {"models": ["a\nb"]}}, "scope", "models"),
            ({"scope": {"groups": ["x"] * 201}}, "scope", "groups"),
        ],
    )
    def test_wrong_fields_are_named(self, acme: House, fields: dict[str, Any], field: str, said: str) -> None:
        with pytest.raises(ValidationError) as fault:
            create(acme, **fields)
        assert list(fault.value.message_dict) == [field]
        assert said in fault.value.message_dict[field][0]
        row = create(acme)
        with pytest.raises(ValidationError):
            change(acme, row, **fields)
        assert selectors.policies(acme.id).get().version == 1

    def test_a_name_is_used_once(self, acme: House, other: House) -> None:
        create(acme)
        create(other)
        with pytest.raises(ValidationError, match="of this name exists"):
            create(acme)

    def test_only_compliance_and_administrators_write(self, acme: House) -> None:
        row = create(acme)
        for role in (Role.ENGINEER, Role.AUDITOR, Role.DEVELOPER, None):
            for write in (
                services.change_policy,
                services.enable_policy,
                services.disable_policy,
                services.delete_policy,
            ):
                with pytest.raises(Forbidden, match="compliance or admin"):
                    write(actor=acme.actor(role), policy_id=row.id)
            with pytest.raises(Forbidden):
                services.create_policy(actor=acme.actor(role), name="x", detectors=CARDS)

    def test_another_organisation_does_not_see_it(self, acme: House, other: House) -> None:
        row = create(acme)
        with pytest.raises(ObjectDoesNotExist):
            services.disable_policy(actor=other.actor(Role.COMPLIANCE), policy_id=row.id)
        assert not selectors.policies(other.id).exists()
        assert not selectors.versions(other.id, row.id).exists()
        assert selectors.enforced(other.id) == []

    def test_what_is_enforced_judges_like_a_gateway(self, acme: House) -> None:
        create(acme, scope={"departments": ["Finance"], "groups": []})
        create(acme, name="Off", enabled=False, action="block")
        (value,) = selectors.enforced(acme.id)
        assert value.scope == domain.Scope(departments=("Finance",))
        assert Bundle.of([value]).inspect(ANN, user(CARD)).texts == ("[CREDIT_CARD]",)


@pytest.mark.django_db(transaction=True)
def test_changes_at_the_same_time_each_get_their_version(redis_url: str) -> None:
    acme = house("Acme", Role.COMPLIANCE)
    row = create(acme)
    actor = acme.actor(Role.COMPLIANCE)

    def attempt(number: int) -> None:
        try:
            services.change_policy(actor=actor, policy_id=row.id, name=f"Name {number}")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.number for version in selectors.versions(acme.id, row.id)] == list(range(9, 0, -1))
    assert selectors.policies(acme.id).get().version == 9


def test_read_back_from_redis(acme: House, redis_url: str, django_capture_on_commit_callbacks: Any) -> None:
    store = redis.Redis.from_url(redis_url)
    name = redis_names.room(acme.id, "policies")
    with django_capture_on_commit_callbacks(execute=True):
        row = create(acme, phases=["output"], fail_closed=False)
    assert decode(domain.Policy, store.hget(name, row.id)) == domain.Policy(
        id=row.id,
        organisation_id=acme.id,
        name="PCI card mask",
        version=1,
        phases=(domain.Phase.OUTPUT,),
        detectors=(domain.Detector(kind="pii", params={"entities": ["CREDIT_CARD"]}),),
        action=domain.Action.REDACT,
        fail_closed=False,
    )
    with django_capture_on_commit_callbacks(execute=True):
        services.disable_policy(actor=acme.actor(Role.COMPLIANCE), policy_id=row.id)
    assert store.hgetall(name) == {}
    publish_everything(store)
    assert store.hgetall(name) == {}
    with django_capture_on_commit_callbacks(execute=True):
        services.enable_policy(actor=acme.actor(Role.COMPLIANCE), policy_id=row.id)
    before = store.hgetall(name)
    assert list(before) == [row.id.encode()]
    publish_everything(store)
    assert store.hgetall(name) == before
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_policy(actor=acme.actor(Role.COMPLIANCE), policy_id=row.id)
    assert store.hgetall(name) == {}
    store.close()


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
        assert list(kinds) == ["pii"]
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

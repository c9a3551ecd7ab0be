# SPDX-License-Identifier: Apache-2.0
"""Policies as people write them: services, versions, publication."""

import threading
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DatabaseError, connection, transaction

from apps.changes.domain import Forbidden, Role
from apps.changes.publish import publish_everything
from apps.changes.selectors import history
from apps.core import redis_names
from apps.core.values import decode
from apps.policies import domain, selectors, services
from apps.policies.engine import Bundle
from apps.policies.models import AppendOnlyError, PolicyRow, PolicyVersion
from tests.control import House, house
from tests.policies.build import ANN, CARD, user
from tests.policies.rows import CARDS, EMAILS, create


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

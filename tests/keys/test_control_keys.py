# SPDX-License-Identifier: Apache-2.0
"""Virtual keys and budgets: the secret is shown once, and gateways hear of all that a key copies."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from apps.changes.domain import Forbidden, Role, system
from apps.changes.selectors import history
from apps.core import clock, redis_names
from apps.core.django_ring import ring
from apps.core.django_rows import InUseError
from apps.identity import services as people
from apps.identity.domain import Bodies
from apps.keys import domain, selectors, services
from apps.keys.publish import answer, load_by_digest
from apps.keys.store import read_key
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


class TestServices:
    def test_the_secret_is_kept_nowhere(self, acme: House) -> None:
        key, secret = issue(acme)
        assert re.fullmatch(r"sk-sf-[0-9a-f]{48}", secret)
        assert key.digest == ring().digest(secret)
        assert key.hint == f"{secret[:10]}…{secret[-4:]}"
        kept = (
            json.dumps([[e.before, e.after] for e in history(acme.id, key.id)]) + repr(vars(key)) + str(key)
        )
        assert secret not in kept
        assert secret[10:-4] not in kept
        assert key.digest not in json.dumps([e.after for e in history(acme.id, key.id)])
        assert selectors.key_of(secret) == key
        assert selectors.key_of(secret[:-1] + "g") is None

    def test_every_change_makes_a_version_and_an_entry(self, acme: House) -> None:
        key, _secret = issue(acme)
        engineer = acme.actor(Role.ENGINEER)
        month = budget(acme)
        services.change_key(actor=engineer, key_id=key.id, budget_ids=[month.id])
        services.change_key(actor=engineer, key_id=key.id, budget_ids=[month.id])
        services.disable_key(actor=engineer, key_id=key.id, reason="lost")
        services.enable_key(actor=engineer, key_id=key.id)
        last = services.change_key(actor=engineer, key_id=key.id, requests_per_minute=5, budget_ids=[])
        assert last.version == 5
        entries = list(history(acme.id, key.id))
        assert [entry.verb for entry in entries] == [
            "key.changed", "key.enabled", "key.disabled", "key.changed", "key.issued"
        ]  # fmt: skip
        assert (entries[3].before["budgets"], entries[3].after["budgets"]) == ([], [month.id])

    @pytest.mark.parametrize(
        ("fields", "fault"),
        [
            ({"team_id": "team_nothing"}, "team_id"),
            ({"person_id": "per_nothing"}, "person_id"),
            ({"budget_ids": ["bgt_nothing"]}, "budget_ids"),
            ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
            ({"allowed_models": [""]}, "allowed_models"),
            ({"allowed_models": ["a\nb"]}, "allowed_models"),
            ({"allowed_models": ["x" * 121]}, "allowed_models"),
            ({"allowed_models": [f"m{number}" for number in range(201)]}, "allowed_models"),
            ({"requests_per_minute": 0}, "requests_per_minute"),
            ({"requests_at_once": -1}, "requests_at_once"),
            ({"assumed_output_tokens": 10**9}, "assumed_output_tokens"),
            ({"name": ""}, "name"),
        ],
    )
    def test_what_no_key_can_have(self, acme: House, fields: dict[str, Any], fault: str) -> None:
        with pytest.raises(ValidationError) as caught:
            issue(acme, **fields)
        assert set(caught.value.message_dict) == {fault}

    def test_parts_of_another_organisation_do_not_exist(self, acme: House, other: House) -> None:
        theirs = {
            "team_id": other.team_id,
            "person_id": other.person(None).id,
            "budget_ids": [budget(other).id],
        }
        with pytest.raises(ValidationError) as fault:
            issue(acme, **theirs)
        assert set(fault.value.message_dict) == set(theirs)

    def test_a_team_budget_is_not_for_chosen_keys(self, acme: House) -> None:
        team = budget(acme, node="team", team_id=acme.team_id)
        with pytest.raises(ValidationError):
            issue(acme, budget_ids=[team.id])

    @pytest.mark.parametrize("role", [Role.COMPLIANCE, None])
    def test_only_engineers_and_administrators_write(self, acme: House, role: Role | None) -> None:
        key, _secret = issue(acme)
        actor = acme.actor(role)
        with pytest.raises(Forbidden):
            services.issue_key(actor=actor, name="x", team_id=acme.team_id)
        for write in (services.disable_key, services.delete_key):
            with pytest.raises(Forbidden):
                write(actor=actor, key_id=key.id)
        with pytest.raises(Forbidden):
            services.create_budget(actor=actor, name="x")

    def test_another_organisation_does_not_see_it(self, acme: House, other: House) -> None:
        key, _secret = issue(acme)
        for write in (services.disable_key, services.delete_key):
            with pytest.raises(ObjectDoesNotExist):
                write(actor=other.actor(Role.ENGINEER), key_id=key.id)
        assert not selectors.keys(other.id).exists()

    def test_a_team_with_keys_stays(self, acme: House) -> None:
        issue(acme)
        with pytest.raises(InUseError, match="Claims bot"):
            people.delete_team(actor=acme.actor(Role.ADMIN), team_id=acme.team_id)


class TestBudgets:
    def test_as_values(self, acme: House, other: House) -> None:
        budget(other)
        made = budget(acme, window="week", zone="Europe/London", limit_micro=5_000_000, hard=False)
        assert selectors.budgets(acme.id) == [
            domain.Budget(
                id=made.id,
                name="Month",
                window=domain.Window.WEEK,
                zone="Europe/London",
                limit=5_000_000,
                hard=False,
            )
        ]

    @pytest.mark.parametrize(
        "fields",
        [
            {"zone": "Mars/Base"},
            {"zone": "../etc/passwd"},
            {"zone": ""},
            {"window": "year"},
            {"limit_micro": -1},
            {"node": "team"},
            {"node": "galaxy"},
        ],
    )
    def test_what_no_budget_can_have(self, acme: House, fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            budget(acme, **fields)

    def test_a_team_only_for_team_budgets(self, acme: House, other: House) -> None:
        with pytest.raises(ValidationError):
            budget(acme, team_id=acme.team_id)
        with pytest.raises(ValidationError):
            budget(acme, node="team", team_id=other.team_id)


class Published:
    """What gateways would read."""

    def __init__(self, url: str, commit: Any) -> None:
        self.store = redis.Redis.from_url(url)
        self.commit = commit

    def key(self, row: Any) -> domain.Key | None:
        raw = self.store.get(redis_names.key(row.digest))
        assert raw is not None
        return read_key(raw)


@pytest.fixture
def published(redis_url: str, django_capture_on_commit_callbacks: Any) -> Any:
    """The published copies, and a way to commit."""
    found = Published(redis_url, lambda: django_capture_on_commit_callbacks(execute=True))
    yield found
    found.store.close()


class TestPublication:
    def test_a_key_carries_all_that_a_request_needs(self, acme: House, published: Published) -> None:
        ends = clock.now() + timedelta(days=1)
        person = acme.person(None)
        admin = acme.actor(Role.ADMIN)
        with published.commit():
            groups = [people.create_group(actor=admin, name=name) for name in ("Staff", "Adjusters")]
            people.change_person(actor=admin, person_id=person.id, groups=groups)
            whole = budget(acme, "Whole", node="organisation", limit_micro=9)
            team = budget(acme, "Team", node="team", team_id=acme.team_id, window="day")
            own, unused = budget(acme, "Own"), budget(acme, "Unused")
            row, _secret = issue(
                acme,
                person_id=person.id,
                expires_at=ends,
                allowed_models=["gpt-*", "gpt-*", " m "],
                requests_per_minute=60,
                requests_at_once=4,
                assumed_output_tokens=100,
                may_override_route=True,
                budget_ids=[own.id],
            )
        key = published.key(row)
        assert key is not None
        assert key.expires_ms == int(ends.timestamp() * 1000)
        assert [found.id for found in key.budgets] == [whole.id, team.id, own.id]
        assert unused.id not in str(key)
        assert (key.person_name, key.email, key.department) == (
            "Employee of Acme", "employee@acme.example", "Claims"
        )  # fmt: skip
        assert (key.groups, key.models) == (("Adjusters", "Staff"), ("gpt-*", "m"))
        assert (key.team_name, key.organisation_name) == ("Acme claims", "Acme")
        assert (key.requests_per_minute, key.requests_at_once, key.assumed_output_tokens) == (60, 4, 100)
        assert (key.may_override_route, key.may_assert_person) == (True, False)
        assert (key.bodies, key.demo, key.enabled, key.version) == ("off", False, True, 1)
        assert load_by_digest(row.digest) == published.store.get(redis_names.key(row.digest))
        assert published.store.ttl(redis_names.key(row.digest)) == -1

    def test_a_deleted_key_is_published_as_absent(self, acme: House, published: Published) -> None:
        with published.commit():
            row, secret = issue(acme)
        listener = published.store.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(redis_names.EDITS)
        listener.get_message(timeout=5)
        with published.commit():
            services.delete_key(actor=acme.actor(Role.ENGINEER), key_id=row.id)
        raw = published.store.get(redis_names.key(row.digest))
        assert json.loads(raw) == {"type": "absent", "v": 1, "digest": row.digest}
        message = json.loads(listener.get_message(timeout=5)["data"])
        assert (message["room"], message["organisation_id"], message["id"]) == ("keys", acme.id, row.digest)
        assert load_by_digest(row.digest) is None
        assert selectors.key_of(secret) is None
        listener.close()

    def test_edits_of_what_a_key_copies_reach_the_key(self, acme: House, published: Published) -> None:
        person, admin, engineer = acme.person(None), acme.actor(Role.ADMIN), acme.actor(Role.ENGINEER)
        with published.commit():
            group = people.create_group(actor=admin, name="Staff")
            people.change_person(actor=admin, person_id=person.id, groups=[group])
            own = budget(acme, "Own", limit_micro=1)
            row, _secret = issue(acme, person_id=person.id, budget_ids=[own.id])
            without, _secret = issue(acme)
        versions = [1]

        def after(edit: Any, **values: Any) -> domain.Key:
            with published.commit():
                edit(**values)
            key = published.key(row)
            assert key is not None
            versions.append(key.version)
            return key

        assert (
            after(people.change_person, actor=admin, person_id=person.id, department="Legal").department
            == "Legal"
        )
        assert after(people.change_team, actor=admin, team_id=acme.team_id, name="New").team_name == "New"
        assert after(people.change_group, actor=admin, group_id=group.id, name="All").groups == ("All",)
        changed = after(
            people.change_organisation_settings, actor=admin, organisation_id=acme.id, bodies=Bodies.FULL
        )
        assert changed.bodies == "full"
        assert (
            after(services.change_budget, actor=engineer, budget_id=own.id, limit_micro=2).budgets[0].limit
            == 2
        )
        assert not after(services.delete_budget, actor=engineer, budget_id=own.id).budgets
        team = after(services.create_budget, actor=engineer, name="T", node="team", team_id=acme.team_id)
        assert [found.name for found in team.budgets] == ["T"]
        whole = after(services.create_budget, actor=engineer, name="O", node="organisation")
        assert [found.name for found in whole.budgets] == ["O", "T"]
        assert not after(people.change_person, actor=admin, person_id=person.id, is_active=False).enabled
        assert versions == sorted(set(versions))
        other_key = published.key(without)
        assert other_key is not None
        assert (other_key.team_name, other_key.bodies, other_key.enabled) == ("New", "full", True)

    def test_digests_that_gateways_ask_for(self, acme: House, published: Published) -> None:
        row, _secret = issue(acme)
        nobody = "0" * 64
        with published.commit():
            answer(published.store, [row.digest, nobody])
        assert published.key(row) is not None
        assert read_key(published.store.get(redis_names.key(nobody))) is None
        assert 0 < published.store.ttl(redis_names.key(nobody)) <= 60

    def test_an_answer_never_hides_a_key_issued_meanwhile(self, acme: House, published: Published) -> None:
        digest = "1" * 64
        published.store.set(redis_names.key(digest), b"issued meanwhile")
        answer(published.store, [digest])
        assert published.store.get(redis_names.key(digest)) == b"issued meanwhile"

    def test_many_keys_need_few_queries(self, acme: House, django_assert_max_num_queries: Any) -> None:
        from apps.keys.publish import load_keys

        own = budget(acme)
        for number in range(12):
            issue(acme, name=f"k{number}", person_id=acme.person(None).id, budget_ids=[own.id])
        with django_assert_max_num_queries(6):
            assert len(list(load_keys())) == 12


def test_the_system_may_act_for_an_organisation(acme: House) -> None:
    key, _secret = services.issue_key(actor=system(acme.id), name="x", team_id=acme.team_id)
    assert key.organisation_id == acme.id

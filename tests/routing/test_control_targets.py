# SPDX-License-Identifier: Apache-2.0
"""Targets: services, API, publication, and that what they use cannot be pulled away."""

import threading
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connection
from django.test import Client

from apps.changes.domain import Forbidden, Role, system
from apps.changes.selectors import history
from apps.core import redis_names
from apps.core.django_rows import InUseError
from apps.core.values import decode
from apps.providers import services as catalogue
from apps.routing import domain, selectors, services
from tests.control import House, house


def parts(of: House, name: str = "a") -> dict[str, str]:
    """A model and a provider of an organisation."""
    actor = system(of.id)
    provider = catalogue.create_provider(actor=actor, name=name, base_url="https://api.example.com")
    model = catalogue.create_model(actor=actor, name=name)
    return {"model_id": model.id, "provider_id": provider.id}


def target(of: House, name: str = "First", **fields: Any) -> Any:
    values = {"name": name, "upstream_model": "up-1", **fields}
    return services.create_target(
        actor=of.actor(Role.ENGINEER), **(values if "model_id" in values else values | parts(of))
    )


@pytest.fixture
def acme(db: None) -> House:
    """An organisation with an engineer and an auditor."""
    return house("Acme", Role.ENGINEER, Role.AUDITOR)


@pytest.fixture
def other(db: None) -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


class TestServices:
    def test_draining_is_an_event_of_its_own(self, acme: House) -> None:
        row, engineer = target(acme), acme.actor(Role.ENGINEER)
        assert services.drain_target(actor=engineer, target_id=row.id, reason="slow").drained
        services.drain_target(actor=engineer, target_id=row.id)
        assert not services.undrain_target(actor=engineer, target_id=row.id).drained
        services.change_target(actor=engineer, target_id=row.id, rank=3)
        services.delete_target(actor=engineer, target_id=row.id)
        verbs = [entry.verb for entry in history(acme.id, row.id)]
        assert verbs == [
            "target.deleted", "target.changed", "target.undrained", "target.drained", "target.created"
        ]  # fmt: skip
        assert history(acme.id, row.id)[3].reason == "slow"

    def test_parts_of_another_organisation_do_not_exist(self, acme: House, other: House) -> None:
        theirs = parts(other)
        with pytest.raises(ValidationError) as fault:
            target(acme, **theirs)
        assert set(fault.value.message_dict) == {"model_id", "provider_id"}
        row = target(acme)
        with pytest.raises(ValidationError):
            services.change_target(
                actor=acme.actor(Role.ENGINEER), target_id=row.id, provider_id=theirs["provider_id"]
            )

    def test_what_a_target_uses_stays(self, acme: House) -> None:
        row, engineer = target(acme), acme.actor(Role.ENGINEER)
        for delete, key in ((catalogue.delete_provider, "provider_id"), (catalogue.delete_model, "model_id")):
            with pytest.raises(InUseError, match="First"):
                delete(actor=engineer, **{key: getattr(row, key)})
        services.delete_target(actor=engineer, target_id=row.id)
        catalogue.delete_provider(actor=engineer, provider_id=row.provider_id)
        catalogue.delete_model(actor=engineer, model_id=row.model_id)

    def test_only_engineers_and_administrators_write(self, acme: House) -> None:
        row = target(acme)
        for write in (services.drain_target, services.undrain_target, services.delete_target):
            with pytest.raises(Forbidden):
                write(actor=acme.actor(Role.AUDITOR), target_id=row.id)

    def test_another_organisation_does_not_see_it(self, acme: House, other: House) -> None:
        row = target(acme)
        with pytest.raises(ObjectDoesNotExist):
            services.drain_target(actor=other.actor(Role.ENGINEER), target_id=row.id)
        assert not selectors.targets(other.id).exists()


@pytest.mark.django_db(transaction=True)
def test_a_provider_is_not_deleted_under_a_target_that_is_being_made(redis_url: str) -> None:
    acme = house("Acme", Role.ENGINEER)
    faults: list[Exception] = []

    def attempt(write: Any, **values: Any) -> None:
        try:
            write(actor=acme.actor(Role.ENGINEER), **values)
        except (InUseError, ValidationError) as fault:
            faults.append(fault)
        finally:
            connection.close()

    for number in range(10):
        faults.clear()
        have = parts(acme, f"n{number}")
        made = threading.Thread(
            target=attempt,
            args=(services.create_target,),
            kwargs={"name": f"t{number}", "upstream_model": "u", **have},
        )
        gone = threading.Thread(
            target=attempt, args=(catalogue.delete_provider,), kwargs={"provider_id": have["provider_id"]}
        )
        made.start()
        gone.start()
        made.join()
        gone.join()
        # Exactly one of the two was too late, and was told so.
        assert len(faults) == 1
        there = selectors.targets(acme.id).filter(name=f"t{number}").exists()
        assert isinstance(faults[0], InUseError) == there


def test_read_back_from_redis(acme: House, redis_url: str, django_capture_on_commit_callbacks: Any) -> None:
    store = redis.Redis.from_url(redis_url)
    with django_capture_on_commit_callbacks(execute=True):
        row = target(acme, rank=7)
    name = redis_names.room(acme.id, "targets")
    assert decode(domain.Target, store.hget(name, row.id)) == domain.Target(
        id=row.id,
        organisation_id=acme.id,
        name="First",
        model_id=row.model_id,
        provider_id=row.provider_id,
        upstream_model="up-1",
        rank=7,
    )
    with django_capture_on_commit_callbacks(execute=True):
        services.drain_target(actor=acme.actor(Role.ENGINEER), target_id=row.id)
    assert decode(domain.Target, store.hget(name, row.id)).drained
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_target(actor=acme.actor(Role.ENGINEER), target_id=row.id)
    assert not store.exists(name)
    store.close()


class TestApi:
    def test_create_read_change_delete(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        body = {"name": "First", "upstream_model": "up-1", **parts(acme)}
        made = client.post("/api/targets", body)
        assert made.status_code == 201, made.content
        row = made.json()
        assert (row["model"], row["provider"], row["rank"], row["drained"]) == ("a", "a", 0, False)
        one = f"/api/targets/{row['id']}"
        assert client.patch(one, {"drained": True, "rank": 2}).json() == row | {"drained": True, "rank": 2}
        assert client.put(one, body).json() == row
        assert client.get("/api/targets/").json()["results"] == [row]
        assert client.delete(one).status_code == 204
        assert client.delete(one).status_code == 404

    def test_a_provider_in_use_is_409_with_names(self, acme: House) -> None:
        row = target(acme)
        client = acme.client(Role.ENGINEER)
        for address in (f"/api/providers/{row.provider_id}", f"/api/models/{row.model_id}"):
            answer = client.delete(address)
            assert answer.status_code == 409
            assert "First" in answer.json()["detail"]
            assert answer["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"model_id": "mdl_nothing"}, "model_id"),
            ({"provider_id": None}, "provider_id"),
            ({"model": "a"}, "model"),
            ({"rank": -1}, "rank"),
            ({"rank": 10**30}, "rank"),
            ({"weight": 1}, "weight"),
        ],
    )
    def test_wrong_fields_are_named(self, acme: House, change: dict[str, Any], field: str) -> None:
        answer = acme.client(Role.ENGINEER).patch(f"/api/targets/{target(acme).id}", change)
        assert answer.status_code == 400
        assert set(answer.json()["errors"]) == {field}

    def test_strangers_roles_and_other_organisations(self, acme: House, other: House) -> None:
        one = f"/api/targets/{target(acme).id}"
        assert Client().get(one).status_code == Client().get("/api/targets/x").status_code == 401
        assert acme.client(None).get(one).status_code == 403
        auditor = acme.client(Role.AUDITOR)
        assert auditor.get(one).status_code == 200
        assert auditor.patch(one, {"drained": True}).status_code == 403
        assert other.client(Role.ENGINEER).patch(one, {"drained": True}).status_code == 404


def test_admin_drains_the_chosen(acme: House, other: House) -> None:
    person = acme.person(Role.ENGINEER)
    person.is_staff = True
    person.save()
    client = Client()
    client.force_login(person)
    have = parts(acme)
    form = {"name": "First", "model": have["model_id"], "provider": have["provider_id"]}
    answer = client.post("/admin/routing/target/add/", form | {"upstream_model": "u", "rank": "1"})
    assert answer.status_code == 302, answer.content.decode()
    mine, theirs = selectors.targets(acme.id).get(), target(other)
    chosen = {"action": "drain", "_selected_action": [mine.id, theirs.id]}
    assert client.post("/admin/routing/target/", chosen).status_code == 302
    assert selectors.targets(acme.id).get().drained
    assert not selectors.targets(other.id).get().drained
    client.post("/admin/routing/target/", chosen | {"action": "undrain"})
    assert not selectors.targets(acme.id).get().drained
    names = client.get("/admin/routing/target/add/").content.decode()
    assert theirs.model_id not in names

# SPDX-License-Identifier: Apache-2.0
"""Organisations, teams and people: what services allow, refuse and write down."""

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, transaction

from apps.changes.selectors import history
from apps.core import redis_names
from apps.core.values import decode
from apps.identity import publish, selectors, services
from apps.identity.domain import Bodies, Forbidden, OrganisationSettings, Role, system
from apps.identity.models import Person
from tests.control import House, house

GOOD = "correct horse battery staple"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN, Role.COMPLIANCE, Role.DEVELOPER)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


@pytest.fixture
def root(acme: House) -> Person:
    """Somebody who sees all organisations."""
    return services.create_person(
        actor=system(acme.id), email="root@acme.example", name="Root", is_superuser=True, is_staff=True
    )


class TestOrganisations:
    def test_only_superusers_make_them(self, acme: House, root: Person) -> None:
        with pytest.raises(Forbidden, match="see all organisations"):
            services.create_organisation(actor=acme.actor(Role.ADMIN), name="New")
        row = services.create_organisation(actor=root.actor(), name="New")
        assert row.organisation_id == row.pk
        assert row.bodies == Bodies.OFF
        assert history(row.pk, row.pk)[0].verb == "organisation.created"

    def test_names_are_used_once(self, acme: House) -> None:
        with pytest.raises(ValidationError) as caught:
            services.create_organisation(actor=system(), name="Acme")
        assert "name" in caught.value.message_dict

    def test_compliance_changes_what_is_kept_and_the_log_says_why(self, acme: House) -> None:
        services.change_organisation_settings(
            actor=acme.actor(Role.COMPLIANCE), organisation_id=acme.id, bodies=Bodies.REDACTED, reason="audit"
        )
        entry = history(acme.id, acme.id)[0]
        assert (entry.before["bodies"], entry.after["bodies"], entry.reason) == ("off", "redacted", "audit")
        assert selectors.organisation_settings(acme.id).bodies is Bodies.REDACTED

    def test_developers_and_neighbours_do_not(self, acme: House, other: House) -> None:
        for actor in (acme.actor(Role.DEVELOPER), other.actor(Role.ADMIN)):
            with pytest.raises(Forbidden):
                services.change_organisation_settings(
                    actor=actor, organisation_id=acme.id, bodies=Bodies.FULL
                )
        assert selectors.organisation_settings(acme.id).bodies is Bodies.OFF


@pytest.mark.django_db(transaction=True)
def test_gateways_hear_of_a_new_setting_on_commit(redis_url: str) -> None:
    acme = house("Acme", Role.ADMIN)
    services.change_organisation_settings(
        actor=acme.actor(Role.ADMIN), organisation_id=acme.id, bodies=Bodies.FULL
    )
    with redis.Redis.from_url(redis_url) as store:
        raw = store.hget(redis_names.room(acme.id, "organisations"), acme.id)
    assert raw is not None
    assert decode(OrganisationSettings, bytes(raw)) == OrganisationSettings(
        id=acme.id, name="Acme", bodies=Bodies.FULL
    )


class TestTeamsAndGroups:
    def test_administrators_keep_them(self, acme: House) -> None:
        actor = acme.actor(Role.ADMIN)
        team = services.create_team(actor=actor, name=" Fraud ")
        services.change_team(actor=actor, team_id=team.pk, name="Fraud desk")
        assert selectors.teams(acme.id).get(pk=team.pk).name == "Fraud desk"
        services.delete_team(actor=actor, team_id=team.pk)
        assert not selectors.teams(acme.id).filter(pk=team.pk).exists()
        assert [entry.verb for entry in history(acme.id, team.pk)] == [
            "team.deleted",
            "team.changed",
            "team.created",
        ]

    def test_others_do_not(self, acme: House, other: House) -> None:
        with pytest.raises(Forbidden, match="role admin"):
            services.create_group(actor=acme.actor(Role.DEVELOPER), name="g")
        with pytest.raises(ObjectDoesNotExist):
            services.change_team(actor=other.actor(Role.ADMIN), team_id=acme.team_id, name="Mine now")
        with pytest.raises(Forbidden, match="another organisation"):
            services.create_team(actor=other.actor(Role.ADMIN), name="t", organisation_id=acme.id)

    def test_a_name_may_be_used_once_in_each_organisation(self, acme: House, other: House) -> None:
        services.create_group(actor=acme.actor(Role.ADMIN), name="all")
        services.create_group(actor=other.actor(Role.ADMIN), name="all")
        with pytest.raises(ValidationError):
            services.create_group(actor=acme.actor(Role.ADMIN), name="all")


class TestPeople:
    def test_addresses_are_kept_in_lower_case_and_used_once(self, acme: House, other: House) -> None:
        person = services.create_person(actor=acme.actor(Role.ADMIN), email=" Ada@Acme.Example ", name="Ada")
        assert person.email == "ada@acme.example"
        assert Person.objects.get_by_natural_key("ADA@acme.example") == person
        with pytest.raises(ValidationError) as caught:
            services.create_person(actor=other.actor(Role.ADMIN), email="ada@ACME.example", name="Ada")
        assert "email" in caught.value.message_dict
        with pytest.raises(IntegrityError), transaction.atomic():
            Person.objects.filter(pk=person.pk).update(email="Ada@acme.example")

    def test_weak_passwords_are_refused_by_field_and_never_logged(self, acme: House) -> None:
        with pytest.raises(ValidationError) as caught:
            services.create_person(
                actor=acme.actor(Role.ADMIN), email="a@acme.example", name="A", password="short"
            )
        assert "password" in caught.value.message_dict
        person = services.create_person(
            actor=acme.actor(Role.ADMIN), email="a@acme.example", name="A", password=GOOD
        )
        services.set_password(actor=person.actor(), person_id=person.pk, password=GOOD + " 2")
        said = [(entry.verb, entry.before, entry.after) for entry in history(acme.id, person.pk)]
        assert GOOD not in repr(said)
        assert said[0] == ("person.password_set", None, None)
        assert person.check_password(GOOD)

    def test_roles_are_set_whole_and_the_log_tells_both(self, acme: House) -> None:
        person = acme.person(Role.DEVELOPER)
        services.set_roles(
            actor=acme.actor(Role.ADMIN),
            person_id=person.pk,
            roles=[Role.AUDITOR, Role.APPROVER],
            reason="moved",
        )
        entry = history(acme.id, person.pk)[0]
        assert entry.verb == "person.roles_changed"
        assert (entry.before, entry.after) == ({"roles": ["developer"]}, {"roles": ["approver", "auditor"]})
        person.refresh_from_db()
        assert services.actor_of(person).roles == {"approver", "auditor"}

    def test_the_last_administrator_stays(self, acme: House) -> None:
        actor, person = acme.actor(Role.ADMIN), acme.person(Role.ADMIN)
        with pytest.raises(ValidationError, match="last administrator"):
            services.set_roles(actor=actor, person_id=person.pk, roles=[])
        with pytest.raises(ValidationError, match="last administrator"):
            services.change_person(actor=actor, person_id=person.pk, is_active=False)
        services.set_roles(actor=actor, person_id=acme.person(Role.DEVELOPER).pk, roles=[Role.ADMIN])
        services.set_roles(actor=actor, person_id=person.pk, roles=[])
        person.refresh_from_db()
        assert person.roles == []

    def test_an_administrator_cannot_reach_superusers_or_make_them(self, acme: House, root: Person) -> None:
        actor = acme.actor(Role.ADMIN)
        with pytest.raises(Forbidden):
            services.set_password(actor=actor, person_id=root.pk, password=GOOD)
        with pytest.raises(Forbidden):
            services.change_person(actor=actor, person_id=root.pk, is_active=False)
        with pytest.raises(Forbidden):
            services.create_person(actor=actor, email="x@acme.example", name="X", is_superuser=True)
        services.set_password(actor=root.actor(), person_id=root.pk, password=GOOD)

    def test_neighbours_are_not_there(self, acme: House, other: House) -> None:
        with pytest.raises(ObjectDoesNotExist):
            services.set_roles(
                actor=other.actor(Role.ADMIN), person_id=acme.person(None).pk, roles=[Role.ADMIN]
            )

    def test_groups_of_another_organisation_cannot_be_given(self, acme: House, other: House) -> None:
        theirs = services.create_group(actor=other.actor(Role.ADMIN), name="theirs")
        with pytest.raises(ValidationError, match="own organisation"):
            services.change_person(
                actor=acme.actor(Role.ADMIN), person_id=acme.person(None).pk, groups=[theirs]
            )

    def test_rooms_that_copy_names_are_told(self, acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
        heard: list[tuple[str, str]] = []
        monkeypatch.setattr(publish, "_followers", [])
        publish.follow(lambda organisation, subject: heard.append((organisation, subject)))
        person = acme.person(None)
        actor = acme.actor(Role.ADMIN)
        services.change_person(actor=actor, person_id=person.pk, department="Law")
        services.change_person(actor=actor, person_id=person.pk, department="Law")
        services.change_team(actor=actor, team_id=acme.team_id, name="New")
        assert heard == [(acme.id, person.pk), (acme.id, acme.team_id)]

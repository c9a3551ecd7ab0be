# SPDX-License-Identifier: Apache-2.0
"""Writing organisations, teams and people; tokens have a file of their own."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids
from apps.core.django_rows import delete_checked, save_checked
from apps.core.tenancy import EVERYONE, OrganisationQuerySet
from apps.identity import publish
from apps.identity.domain import Actor, Bodies, Forbidden, Role, require, require_same, system
from apps.identity.models import Group, Organisation, Person, Team
from apps.identity.tokens import issue_token, revoke_token

__all__ = [
    "actor_of", "change_group", "change_organisation_settings", "change_person", "change_team", "create_group", "create_organisation",
    "create_person", "create_team", "delete_group", "delete_team", "edit_person", "issue_token", "revoke_token", "set_password",
    "set_roles", "system",
]  # fmt: skip
Named = TypeVar("Named", Team, Group)


def actor_of(person: Person | AnonymousUser, *, kind: str = "person", request_id: str = "") -> Actor:
    """The person as services want them; Forbidden for somebody who is not signed in."""
    if not isinstance(person, Person):
        raise Forbidden("Sign in first.")
    return person.actor(kind=kind, request_id=request_id)


@transaction.atomic
def create_organisation(
    *, actor: Actor, name: str, bodies: Bodies = Bodies.OFF, demo: bool = False
) -> Organisation:
    """A new tenant; only superusers and the system make one."""
    _require_superuser(actor)
    identifier = ids.new("org")
    row = Organisation(
        id=identifier, organisation_id=identifier, name=name.strip(), bodies=bodies.value, demo=demo
    )
    save_checked(row)
    _record(actor, "organisation.created", row, None, _organisation_facts(row))
    enqueue(publish.ROOM, row.pk, row.pk)
    return row


@transaction.atomic
def change_organisation_settings(
    *,
    actor: Actor,
    organisation_id: str,
    name: str | None = None,
    bodies: Bodies | None = None,
    reason: str = "",
) -> Organisation:
    """Rename an organisation or change what it keeps of prompts and answers."""
    require(actor, Role.ADMIN, Role.COMPLIANCE)
    require_same(actor, organisation_id)
    row = Organisation.objects.select_for_update().get(pk=organisation_id)
    before = _organisation_facts(row)
    row.name = row.name if name is None else name.strip()
    row.bodies = row.bodies if bodies is None else bodies.value
    save_checked(row)
    _record(actor, "organisation.changed", row, before, _organisation_facts(row), reason)
    enqueue(publish.ROOM, row.pk, row.pk)
    publish.tell_followers(row.pk, row.pk)
    return row


def create_team(*, actor: Actor, name: str, organisation_id: str = "") -> Team:
    """A new team of the actor's organisation, or of the one named."""
    return _create_named(Team(), actor, name, organisation_id)


def change_team(*, actor: Actor, team_id: str, name: str) -> Team:
    """Rename a team."""
    return _rename(Team, actor, team_id, name)


def delete_team(*, actor: Actor, team_id: str) -> None:
    """Remove a team; ProtectedError while keys still belong to it."""
    _delete_named(Team, actor, team_id)


def create_group(*, actor: Actor, name: str, organisation_id: str = "") -> Group:
    """A new group of the actor's organisation, or of the one named."""
    return _create_named(Group(), actor, name, organisation_id)


def change_group(*, actor: Actor, group_id: str, name: str) -> Group:
    """Rename a group."""
    return _rename(Group, actor, group_id, name)


def delete_group(*, actor: Actor, group_id: str) -> None:
    """Remove a group from everybody in it."""
    _delete_named(Group, actor, group_id)


@transaction.atomic
def create_person(
    *,
    actor: Actor,
    email: str,
    name: str,
    organisation_id: str = "",
    department: str = "",
    roles: Collection[Role] = (),
    groups: Iterable[Group] = (),
    teams: Iterable[Team] = (),
    password: str | None = None,
    is_staff: bool = False,
    is_superuser: bool = False,
) -> Person:
    """A new person; without a password they sign in by other means only."""
    organisation_id = organisation_id or actor.organisation_id
    require(actor, Role.ADMIN)
    require_same(actor, organisation_id)
    if is_superuser:
        _require_superuser(actor)
    row = Person(
        id=ids.new("per"), organisation_id=organisation_id, email=email.strip().lower(), name=name.strip(),
        department=department.strip(), roles=_role_names(roles), is_staff=is_staff, is_superuser=is_superuser,
    )  # fmt: skip
    _give_password(row, password)
    save_checked(row)
    _link(row, groups, teams)
    _record(actor, "person.created", row, None, _person_facts(row))
    return row


@transaction.atomic
def change_person(
    *,
    actor: Actor,
    person_id: str,
    email: str | None = None,
    name: str | None = None,
    department: str | None = None,
    groups: Iterable[Group] | None = None,
    teams: Iterable[Team] | None = None,
    is_active: bool | None = None,
    is_staff: bool | None = None,
    reason: str = "",
) -> Person:
    """Change what is given and leave the rest."""
    require(actor, Role.ADMIN)
    row = _person(actor, person_id)
    before = _person_facts(row)
    row.email = row.email if email is None else email.strip().lower()
    row.name = row.name if name is None else name.strip()
    row.department = row.department if department is None else department.strip()
    row.is_active = row.is_active if is_active is None else is_active
    row.is_staff = row.is_staff if is_staff is None else is_staff
    _keep_an_administrator(row)
    save_checked(row)
    _link(row, groups, teams)
    after = _person_facts(row)
    if after != before:
        _record(actor, "person.changed", row, before, after, reason)
        publish.tell_followers(row.organisation_id, row.pk)
    return row


@transaction.atomic
def edit_person(
    *,
    actor: Actor,
    person_id: str,
    email: str | None = None,
    roles: Collection[Role] | None = None,
    password: str | None = None,
    reason: str = "",
    **rest: Any,
) -> Person:
    """Everything a form can say of a person, in one transaction; `rest` is as in `change_person`."""
    if rest or email is not None:
        change_person(actor=actor, person_id=person_id, email=email, reason=reason, **rest)
    if roles is not None:
        set_roles(actor=actor, person_id=person_id, roles=roles, reason=reason)
    if password:
        set_password(actor=actor, person_id=person_id, password=password)
    return _person(actor, person_id)


@transaction.atomic
def set_roles(*, actor: Actor, person_id: str, roles: Collection[Role], reason: str = "") -> Person:
    """Give a person exactly these roles; the last administrator of an organisation stays one."""
    require(actor, Role.ADMIN)
    row = _person(actor, person_id)
    before = {"roles": row.roles}
    row.roles = _role_names(roles)
    if row.roles == before["roles"]:
        return row
    _keep_an_administrator(row)
    save_checked(row)
    _record(actor, "person.roles_changed", row, before, {"roles": row.roles}, reason)
    return row


@transaction.atomic
def set_password(*, actor: Actor, person_id: str, password: str) -> Person:
    """Give a person a new password, which ends their sessions; their own, or anybody's as administrator."""
    row = _person(actor, person_id)
    if actor.id != row.pk:
        require(actor, Role.ADMIN)
    _give_password(row, password)
    row.save(update_fields=["password"])
    _record(actor, "person.password_set", row, None, None)
    return row


@transaction.atomic
def _create_named(row: Named, actor: Actor, name: str, organisation_id: str) -> Named:
    require(actor, Role.ADMIN)
    row.organisation_id = organisation_id or actor.organisation_id
    require_same(actor, row.organisation_id)
    row.id, row.name = ids.new(row.KIND), name.strip()
    save_checked(row)
    _record(actor, f"{row._meta.model_name}.created", row, None, {"name": row.name})
    return row


@transaction.atomic
def _rename(kind: type[Named], actor: Actor, row_id: str, name: str) -> Named:
    row = _named(kind, actor, row_id)
    before = {"name": row.name}
    row.name = name.strip()
    save_checked(row)
    _record(actor, f"{row._meta.model_name}.changed", row, before, {"name": row.name})
    publish.tell_followers(row.organisation_id, row.pk)
    return row


@transaction.atomic
def _delete_named(kind: type[Named], actor: Actor, row_id: str) -> None:
    row = _named(kind, actor, row_id)
    publish.tell_followers(row.organisation_id, row.pk)
    _record(actor, f"{row._meta.model_name}.deleted", row, {"name": row.name}, None)
    delete_checked(row)


def _named(kind: type[Named], actor: Actor, row_id: str) -> Named:
    require(actor, Role.ADMIN)
    return OrganisationQuerySet(kind).of(_scope(actor)).select_for_update().get(pk=row_id)


def _person(actor: Actor, person_id: str) -> Person:
    """The person, locked; another organisation's people do not exist for the actor."""
    row = Person.objects.of(_scope(actor)).select_for_update().get(pk=person_id)
    if row.is_superuser:
        # Else an organisation's administrator could take over somebody who sees all organisations.
        _require_superuser(actor, but=row.pk)
    return row


def _scope(actor: Actor) -> str:
    return EVERYONE if actor.is_superuser or actor.kind == "system" else actor.organisation_id


def _require_superuser(actor: Actor, but: str = "") -> None:
    if not (actor.is_superuser or actor.kind == "system" or actor.id == but):
        raise Forbidden("Only people who see all organisations may do this.")


def _keep_an_administrator(row: Person) -> None:
    """ValidationError when a change leaves an organisation that has administrators without one."""
    Organisation.objects.select_for_update().get(pk=row.organisation_id)
    administrators = Person.objects.of(row.organisation_id).filter(
        is_active=True, roles__contains=[Role.ADMIN.value]
    )
    left = row.is_active and Role.ADMIN.value in row.roles
    was_one = administrators.filter(pk=row.pk).exists()
    if was_one and not left and not administrators.exclude(pk=row.pk).exists():
        raise ValidationError(
            _("%(name)s is the last administrator. Make somebody else one first.") % {"name": row.name}
        )


def _give_password(row: Person, password: str | None) -> None:
    if password is None:
        row.set_unusable_password()
        return
    try:
        validate_password(password, row)
    except ValidationError as fault:
        raise ValidationError({"password": fault.messages}) from None
    row.set_password(password)


def _link(row: Person, groups: Iterable[Group] | None, teams: Iterable[Team] | None) -> None:
    for relation, wanted in ((row.groups, groups), (row.teams, teams)):
        if wanted is None:
            continue
        chosen = list(wanted)
        if any(item.organisation_id != row.organisation_id for item in chosen):
            raise ValidationError(_("Groups and teams must be of the person's own organisation."))
        relation.set(chosen)  # type: ignore[arg-type]  # one of the two kinds, as paired above


def _role_names(roles: Collection[Role]) -> list[str]:
    return sorted({Role(role).value for role in roles})


def _organisation_facts(row: Organisation) -> dict[str, object]:
    return {"name": row.name, "bodies": row.bodies, "demo": row.demo}


def _person_facts(row: Person) -> dict[str, object]:
    return {
        "email": row.email, "name": row.name, "department": row.department, "roles": row.roles,
        "groups": sorted(row.groups.values_list("name", flat=True)),
        "teams": sorted(row.teams.values_list("name", flat=True)),
        "is_active": row.is_active, "is_staff": row.is_staff, "is_superuser": row.is_superuser,
    }  # fmt: skip


def _record(
    actor: Actor,
    verb: str,
    row: Organisation | Team | Group | Person,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    reason: str = "",
) -> None:
    record(
        actor=actor,
        organisation_id=row.organisation_id,
        verb=verb,
        subject=row.pk,
        subject_name=row.name,
        before=before,
        after=after,
        reason=reason,
    )

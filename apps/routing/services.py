# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: targets, and taking them out of service and back."""

from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.identity.domain import Role, require
from apps.providers import selectors as providers
from apps.routing.models import Target

WRITERS = (Role.ADMIN, Role.ENGINEER)


class TargetFields(TypedDict, total=False):
    """What can be set on a target."""

    name: str
    model_id: str
    provider_id: str
    upstream_model: str
    rank: int
    drained: bool


@transaction.atomic
def create_target(*, actor: Actor, reason: str = "", **fields: Unpack[TargetFields]) -> Target:
    """A new target of the actor's organisation; ValidationError by field."""
    require(actor, *WRITERS)
    target = Target(id=ids.new(Target.KIND), organisation_id=actor.organisation_id)
    _set(target, fields)
    save_checked(target)
    _note(actor, "target.created", target, None, target_facts(target), reason)
    return target


@transaction.atomic
def change_target(
    *, actor: Actor, target_id: str, reason: str = "", **fields: Unpack[TargetFields]
) -> Target:
    """Set some fields; nothing is written where nothing changes. DoesNotExist, ValidationError."""
    require(actor, *WRITERS)
    target = rows_of(Target, scope(actor)).select_for_update().get(id=target_id)
    before = target_facts(target)
    _set(target, fields)
    after = target_facts(target)
    if before != after:
        save_checked(target)
        _note(actor, _verb(before, after), target, before, after, reason)
    return target


def drain_target(*, actor: Actor, target_id: str, reason: str = "") -> Target:
    """Give the target no new requests; those under way end as they would. DoesNotExist."""
    return change_target(actor=actor, target_id=target_id, reason=reason, drained=True)


def undrain_target(*, actor: Actor, target_id: str, reason: str = "") -> Target:
    """Give the target requests again. DoesNotExist."""
    return change_target(actor=actor, target_id=target_id, reason=reason, drained=False)


@transaction.atomic
def delete_target(*, actor: Actor, target_id: str, reason: str = "") -> None:
    """Remove a target. DoesNotExist."""
    require(actor, *WRITERS)
    target = rows_of(Target, scope(actor)).select_for_update().get(id=target_id)
    before = target_facts(target)
    delete_checked(target)
    _note(actor, "target.deleted", target, before, None, reason)


def target_facts(target: Target) -> dict[str, Any]:
    """What the change log shows."""
    return {
        "name": target.name,
        "model_id": target.model_id,
        "provider_id": target.provider_id,
        "upstream_model": target.upstream_model,
        "rank": target.rank,
        "drained": target.drained,
    }


def _verb(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Taking a target out of service is an event of its own in the log."""
    changed = {name for name, value in after.items() if before[name] != value}
    if changed == {"drained"}:
        return "target.drained" if after["drained"] else "target.undrained"
    return "target.changed"


def _set(target: Target, fields: TargetFields) -> None:
    for name, value in fields.items():
        setattr(target, name, value)
    faults = {}
    if not providers.hold_model(target.organisation_id, target.model_id):
        faults["model_id"] = _("There is no such model.")
    if not providers.hold_provider(target.organisation_id, target.provider_id):
        faults["provider_id"] = _("There is no such provider.")
    if faults:
        raise ValidationError(faults)


def _note(
    actor: Actor,
    verb: str,
    target: Target,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    record(
        actor=actor,
        organisation_id=target.organisation_id,
        verb=verb,
        subject=target.id,
        subject_name=target.name,
        before=before,
        after=after,
        reason=reason,
    )
    enqueue("targets", target.organisation_id, target.id)

# SPDX-License-Identifier: Apache-2.0
"""Writes of aliases: other names that clients may ask for a model by; they are published with the model."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.identity.domain import require
from apps.providers import selectors
from apps.providers.models import Model, ModelAlias
from apps.providers.services import WRITERS


@transaction.atomic
def create_alias(*, actor: Actor, name: str, model_id: str, reason: str = "") -> ModelAlias:
    """A new alias of the actor's organisation; ValidationError by field."""
    require(actor, *WRITERS)
    alias = ModelAlias(id=ids.new(ModelAlias.KIND), organisation_id=actor.organisation_id)
    _set(alias, name, model_id)
    save_checked(alias)
    _note(actor, "alias.created", alias, None, alias_facts(alias), reason, {alias.model_id})
    return alias


@transaction.atomic
def change_alias(
    *, actor: Actor, alias_id: str, name: str | None = None, model_id: str | None = None, reason: str = ""
) -> ModelAlias:
    """Another name, or another model for it; nothing is written where nothing changes. DoesNotExist."""
    require(actor, *WRITERS)
    alias = rows_of(ModelAlias, scope(actor)).select_for_update().get(id=alias_id)
    before = alias_facts(alias)
    _set(alias, alias.name if name is None else name, alias.model_id if model_id is None else model_id)
    after = alias_facts(alias)
    if before != after:
        save_checked(alias)
        _note(actor, "alias.changed", alias, before, after, reason, {before["model_id"], alias.model_id})
    return alias


@transaction.atomic
def delete_alias(*, actor: Actor, alias_id: str, reason: str = "") -> None:
    """Remove an alias; who still asks by it is told that there is no such model. DoesNotExist."""
    require(actor, *WRITERS)
    alias = rows_of(ModelAlias, scope(actor)).select_for_update().get(id=alias_id)
    before = alias_facts(alias)
    delete_checked(alias)
    _note(actor, "alias.deleted", alias, before, None, reason, {alias.model_id})


def alias_facts(alias: ModelAlias) -> dict[str, Any]:
    """What the change log shows."""
    return {"name": alias.name, "model_id": alias.model_id}


def _set(alias: ModelAlias, name: str, model_id: str) -> None:
    alias.name, alias.model_id = name.strip(), model_id
    faults = {}
    if not selectors.hold_model(alias.organisation_id, model_id):
        faults["model_id"] = _("There is no such model.")
    if rows_of(Model, alias.organisation_id).filter(name=alias.name).exists():
        faults["name"] = _("A model of this name exists: choose another alias.")
    if faults:
        raise ValidationError(faults)


def _note(
    actor: Actor,
    verb: str,
    alias: ModelAlias,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
    models: set[str],
) -> None:
    """The change record, and the news about the models for gateways."""
    record(
        actor=actor,
        organisation_id=alias.organisation_id,
        verb=verb,
        subject=alias.id,
        subject_name=alias.name,
        before=before,
        after=after,
        reason=reason,
    )
    for model_id in sorted(models):
        enqueue("models", alias.organisation_id, model_id)

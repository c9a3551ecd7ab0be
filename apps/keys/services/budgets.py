# SPDX-License-Identifier: Apache-2.0
"""Writes of budgets; the keys that count towards one are published again."""

from typing import Any, TypedDict, Unpack
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor
from apps.changes.services import record
from apps.core import ids
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.identity import selectors as identity
from apps.identity.domain import require
from apps.keys.models import BudgetRow, Node
from apps.keys.services.virtual_keys import WRITERS, republish_for


class BudgetFields(TypedDict, total=False):
    """What can be set on a budget; what it counts for is fixed once it counts."""

    name: str
    window: str
    zone: str
    limit_micro: int | None
    hard: bool


@transaction.atomic
def create_budget(
    *,
    actor: Actor,
    node: str = Node.KEY,
    team_id: str | None = None,
    reason: str = "",
    **fields: Unpack[BudgetFields],
) -> BudgetRow:
    """A new budget of the actor's organisation, for all of it, one team, or keys chosen later."""
    require(actor, *WRITERS)
    budget = BudgetRow(
        id=ids.new(BudgetRow.KIND), organisation_id=actor.organisation_id, node=node, team_id=team_id
    )
    if team_id and not identity.teams(actor.organisation_id).filter(id=team_id).exists():
        raise ValidationError({"team_id": _("There is no such team.")})
    _set(budget, fields)
    save_checked(budget)
    _note(actor, "budget.created", budget, None, budget_facts(budget), reason)
    _republish(budget)
    return budget


@transaction.atomic
def change_budget(
    *, actor: Actor, budget_id: str, reason: str = "", **fields: Unpack[BudgetFields]
) -> BudgetRow:
    """Set some fields; nothing is written where nothing changes. DoesNotExist, ValidationError."""
    require(actor, *WRITERS)
    budget = rows_of(BudgetRow, scope(actor)).select_for_update().get(id=budget_id)
    before = budget_facts(budget)
    _set(budget, fields)
    after = budget_facts(budget)
    if before != after:
        save_checked(budget)
        _note(actor, "budget.changed", budget, before, after, reason)
        _republish(budget)
    return budget


@transaction.atomic
def delete_budget(*, actor: Actor, budget_id: str, reason: str = "") -> None:
    """Remove a budget; its keys go on without it. DoesNotExist."""
    require(actor, *WRITERS)
    budget = rows_of(BudgetRow, scope(actor)).select_for_update().get(id=budget_id)
    before = budget_facts(budget)
    _republish(budget)
    delete_checked(budget)
    _note(actor, "budget.deleted", budget, before, None, reason)


def budget_facts(budget: BudgetRow) -> dict[str, Any]:
    """What the change log shows."""
    return {
        "name": budget.name,
        "node": str(budget.node),
        "team_id": budget.team_id,
        "window": budget.window,
        "zone": budget.zone,
        "limit_micro": budget.limit_micro,
        "hard": budget.hard,
    }


def _set(budget: BudgetRow, fields: BudgetFields) -> None:
    for name, value in fields.items():
        setattr(budget, name, value)
    try:
        ZoneInfo(budget.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationError({"zone": _("There is no such time zone; Europe/London is one.")}) from None


def _republish(budget: BudgetRow) -> None:
    match budget.node:
        case Node.ORGANISATION:
            republish_for(organisation_id=budget.organisation_id)
        case Node.TEAM:
            republish_for(team_id=budget.team_id or "")
        case _:
            republish_for(budget_id=budget.id)


def _note(
    actor: Actor,
    verb: str,
    budget: BudgetRow,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    record(
        actor=actor,
        organisation_id=budget.organisation_id,
        verb=verb,
        subject=budget.id,
        subject_name=budget.name,
        before=before,
        after=after,
        reason=reason,
    )

# SPDX-License-Identifier: Apache-2.0
"""Reads of keys and budgets, always within an organisation; digests are not for pages."""

from django.db.models import QuerySet

from apps.core.django_ring import ring
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.keys import domain
from apps.keys.models import BudgetRow, VirtualKey


def keys(organisation_id: str) -> QuerySet[VirtualKey]:
    """Keys with their team, owner and budgets."""
    found = rows_of(VirtualKey, organisation_id)
    return found.defer("digest").select_related("team", "person").prefetch_related("budgets")


def key_of(secret: str) -> VirtualKey | None:
    """The key of a secret, whatever its state; None when there is none."""
    if not secret.startswith(domain.PREFIX) or len(secret) > 100:
        return None
    return rows_of(VirtualKey, EVERYONE).filter(digest__in=ring().digests(secret)).first()


def budget_rows(organisation_id: str) -> QuerySet[BudgetRow]:
    """Budgets with their team."""
    found = rows_of(BudgetRow, organisation_id)
    return found.select_related("team")


def budgets(organisation_id: str) -> list[domain.Budget]:
    """All budgets of an organisation as values."""
    return [budget_value(row) for row in rows_of(BudgetRow, organisation_id).order_by("id")]


def budget_value(row: BudgetRow) -> domain.Budget:
    """The value of a budget."""
    return domain.Budget(
        id=row.id,
        name=row.name,
        window=domain.Window(row.window),
        zone=row.zone,
        limit=row.limit_micro,
        hard=row.hard,
    )

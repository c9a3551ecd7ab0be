# SPDX-License-Identifier: Apache-2.0
"""Reading the change log."""

from typing import Any

from django.db.models import QuerySet

from apps.changes.domain import differences
from apps.changes.models import Change, Outbox
from apps.core.tenancy import OrganisationQuerySet


def changes(organisation_id: str, *, subject: str = "", actor: str = "", verb: str = "") -> QuerySet[Change]:
    """The entries of an organisation, newest first, narrowed by exact subject id, actor id and verb."""
    rows: QuerySet[Change] = OrganisationQuerySet(Change).of(organisation_id)
    wanted = {"subject_id": subject, "actor_id": actor, "verb": verb}
    return rows.filter(**{name: value for name, value in wanted.items() if value}).order_by("-id")


def history(organisation_id: str, subject: str, most: int = 50) -> QuerySet[Change]:
    """The latest entries about one subject, newest first."""
    return changes(organisation_id, subject=subject)[:most]


def fields_changed(change: Change) -> dict[str, list[Any]]:
    """Field -> [old, new] of one entry."""
    return differences(change.before, change.after)


def unpublished() -> int:
    """How many edits gateways have not been told of yet."""
    return Outbox.objects.filter(published_at=None).count()

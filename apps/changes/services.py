# SPDX-License-Identifier: Apache-2.0
"""Writing the change log."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.changes.domain import Actor, plain
from apps.changes.models import Change
from apps.core import ids


def record(
    *,
    actor: Actor,
    organisation_id: str,
    verb: str,
    subject: str,
    subject_name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    reason: str = "",
) -> Change:
    """Add an entry in the edit's own transaction; the caller leaves secrets out of `before` and `after`."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A change is recorded in the transaction of the edit, and there is none.")
    row = Change(
        id=ids.new("chg"),
        organisation_id=organisation_id,
        actor_id=actor.id,
        actor_name=_short(actor.name, 200),
        actor_kind=actor.kind,
        verb=verb,
        subject_id=subject,
        subject_name=_short(subject_name, 200),
        subject_type=ids.KINDS.get(subject.partition("_")[0], ""),
        before=None if before is None else plain(before),
        after=None if after is None else plain(after),
        reason=plain(reason),
        request_id=_short(actor.request_id, 64),
    )
    row.save()
    return row


def _short(text: str, most: int) -> str:
    """A text that fits its column and that PostgreSQL can hold."""
    cleaned: str = plain(text)
    return cleaned if len(cleaned) <= most else cleaned[: most - 1] + "…"

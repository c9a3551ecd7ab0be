# SPDX-License-Identifier: Apache-2.0
"""Policies as gateways get them: the enabled ones only."""

from collections.abc import Iterator

from apps.changes.publish import Published, register
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.policies.models import PolicyRow
from apps.policies.selectors import policy_value


def load_policy(policy_id: str) -> Published | None:
    """The current value of a policy, without a value when it is disabled; None when it is gone."""
    row = rows_of(PolicyRow, EVERYONE).filter(id=policy_id).first()
    return None if row is None else _published(row)


def load_policies() -> Iterator[Published]:
    """The current values of all enabled policies."""
    rows = rows_of(PolicyRow, EVERYONE).filter(enabled=True).order_by("id")
    return (_published(row) for row in rows.iterator())


def register_room() -> None:
    """Let the room of the snapshot be loaded from here."""
    register("policies", load_policy, load_policies)


def _published(row: PolicyRow) -> Published:
    return Published(
        organisation_id=row.organisation_id,
        id=row.id,
        value=encode(policy_value(row)) if row.enabled else None,
    )

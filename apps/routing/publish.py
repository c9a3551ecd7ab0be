# SPDX-License-Identifier: Apache-2.0
"""Targets as gateways get them."""

from collections.abc import Iterator

from apps.changes.publish import Published, register
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.routing import domain
from apps.routing.models import Target


def target_value(row: Target) -> domain.Target:
    """The value of a target."""
    return domain.Target(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        model_id=row.model_id,
        provider_id=row.provider_id,
        upstream_model=row.upstream_model,
        rank=row.rank,
        drained=row.drained,
    )


def load_target(target_id: str) -> Published | None:
    """The current value of a target; None when it is gone."""
    row = rows_of(Target, EVERYONE).filter(id=target_id).first()
    return None if row is None else _published(row)


def load_targets() -> Iterator[Published]:
    """The current values of all targets."""
    return (_published(row) for row in rows_of(Target, EVERYONE).order_by("id").iterator())


def register_rooms() -> None:
    """Let the room of the snapshot be loaded from here."""
    register("targets", load_target, load_targets)


def _published(row: Target) -> Published:
    return Published(organisation_id=row.organisation_id, id=row.id, value=encode(target_value(row)))

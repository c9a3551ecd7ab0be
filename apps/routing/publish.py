# SPDX-License-Identifier: Apache-2.0
"""Targets as gateways get them."""

from collections.abc import Iterator

from apps.changes.publish import Published, follow, register
from apps.core import clock
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.providers.pricing import split
from apps.providers.selectors_prices import PriceBook, own_timeline
from apps.routing import domain
from apps.routing.models import Target


def target_value(row: Target, book: PriceBook | None = None) -> domain.Target:
    """The value of a target; a price book of its organisation saves look-ups where many are made."""
    prices = own_timeline(
        book or PriceBook(row.organisation_id), row.model_id, row.provider_id, row.upstream_model
    )
    now, later = split(prices, clock.now_ms())
    return domain.Target(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        model_id=row.model_id,
        provider_id=row.provider_id,
        upstream_model=row.upstream_model,
        rank=row.rank,
        drained=row.drained,
        rates=now,
        later=later,
    )


def load_target(target_id: str) -> Published | None:
    """The current value of a target; None when it is gone."""
    row = rows_of(Target, EVERYONE).filter(id=target_id).first()
    return None if row is None else _published(row)


def load_targets() -> Iterator[Published]:
    """The current values of all targets."""
    book: PriceBook | None = None
    for row in rows_of(Target, EVERYONE).order_by("organisation_id", "id").iterator():
        if book is None or book.organisation_id != row.organisation_id:
            book = PriceBook(row.organisation_id)
        yield _published(row, book)


def register_rooms() -> None:
    """Let the room of the snapshot be loaded from here; prices of targets change with models and providers."""
    register("targets", load_target, load_targets)
    follow("targets", "models", lambda organisation, model: _those(organisation, model_id=model))
    follow("targets", "providers", lambda organisation, provider: _those(organisation, provider_id=provider))


def _those(organisation_id: str, **of: str) -> list[str]:
    return list(rows_of(Target, organisation_id).filter(**of).order_by("id").values_list("id", flat=True))


def _published(row: Target, book: PriceBook | None = None) -> Published:
    return Published(organisation_id=row.organisation_id, id=row.id, value=encode(target_value(row, book)))

# SPDX-License-Identifier: Apache-2.0
"""Providers and models as gateways get them; the credential leaves sealed."""

import base64
from collections.abc import Iterable, Iterator, Mapping

from apps.changes.publish import Published, register
from apps.core import clock, ids
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.providers import domain
from apps.providers.models import Model, Provider
from apps.providers.pricing import split
from apps.providers.selectors import aliases_by_model
from apps.providers.selectors_prices import PriceBook


def provider_value(row: Provider) -> domain.Provider:
    """The value of a provider."""
    return domain.Provider(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        dialect=row.dialect,
        base_url=row.base_url,
        credential=base64.b64encode(bytes(row.credential)).decode(),
        connect_seconds=row.connect_seconds,
        answer_seconds=row.answer_seconds,
        silence_seconds=row.silence_seconds,
        verify_tls=row.verify_tls,
        private_allowed=row.private_allowed,
        enabled=row.enabled,
        pass_price=row.pass_price,
        pass_price_version=row.pass_price_version,
        vendor=row.vendor,
    )


def model_value(
    row: Model, book: PriceBook | None = None, aliases: Mapping[str, tuple[str, ...]] | None = None
) -> domain.Model:
    """The value of a model; a price book and the aliases of many save look-ups where many are made."""
    if aliases is None:
        aliases = aliases_by_model(row.organisation_id, row.id)
    prices = (book or PriceBook(row.organisation_id)).timeline(row)
    now, later = split(prices, clock.now_ms())
    return domain.Model(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        kind=row.kind,
        output_cap=row.output_cap,
        context=row.context,
        rates=now,
        later=later,
        default=row.default,
        enabled=row.enabled,
        created_ms=ids.milliseconds(row.id),
        aliases=aliases.get(row.id, ()),
    )


def load_provider(provider_id: str) -> Published | None:
    """The current value of a provider; None when it is gone."""
    row = rows_of(Provider, EVERYONE).filter(id=provider_id).first()
    return None if row is None else _published(provider_value(row))


def load_providers() -> Iterator[Published]:
    """The current values of all providers."""
    return (_published(provider_value(row)) for row in rows_of(Provider, EVERYONE).order_by("id").iterator())


def load_model(model_id: str) -> Published | None:
    """The current value of a model; None when it is gone."""
    row = rows_of(Model, EVERYONE).filter(id=model_id).first()
    return None if row is None else _published(model_value(row))


def load_models() -> Iterable[Published]:
    """The current values of all models."""
    book: PriceBook | None = None
    aliases = aliases_by_model(EVERYONE)
    for row in rows_of(Model, EVERYONE).order_by("organisation_id", "id").iterator():
        if book is None or book.organisation_id != row.organisation_id:
            book = PriceBook(row.organisation_id)
        yield _published(model_value(row, book, aliases))


def register_rooms() -> None:
    """Let the rooms of the snapshot be loaded from here."""
    register("providers", load_provider, load_providers)
    register("models", load_model, load_models)


def _published(value: domain.Provider | domain.Model) -> Published:
    return Published(organisation_id=value.organisation_id, id=value.id, value=encode(value))

# SPDX-License-Identifier: Apache-2.0
"""Providers and models as gateways get them; the credential leaves sealed."""

import base64
from collections.abc import Iterable, Iterator
from decimal import Decimal

from apps.changes.publish import Published, register
from apps.core import ids
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.providers import domain
from apps.providers.models import Model, Provider


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
    )


def model_value(row: Model) -> domain.Model:
    """The value of a model."""
    return domain.Model(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        kind=row.kind,
        output_cap=row.output_cap,
        context=row.context,
        rates=_rates(row),
        default=row.default,
        enabled=row.enabled,
        created_ms=ids.milliseconds(row.id),
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
    return (_published(model_value(row)) for row in rows_of(Model, EVERYONE).order_by("id").iterator())


def register_rooms() -> None:
    """Let the rooms of the snapshot be loaded from here."""
    register("providers", load_provider, load_providers)
    register("models", load_model, load_models)


def _rates(row: Model) -> domain.Rates | None:
    if row.input_rate is None or row.output_rate is None:
        return None
    return domain.Rates(
        version=str(row.price_version),
        input=_short(row.input_rate),
        output=_short(row.output_rate),
        cache_read=None if row.cached_rate is None else _short(row.cached_rate),
        request=_short(row.request_rate),
    )


def _short(rate: Decimal) -> Decimal:
    """The same amount without needless zeros."""
    return rate.normalize()


def _published(value: domain.Provider | domain.Model) -> Published:
    return Published(organisation_id=value.organisation_id, id=value.id, value=encode(value))

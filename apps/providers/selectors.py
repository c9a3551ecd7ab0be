# SPDX-License-Identifier: Apache-2.0
"""Reads of providers and models, always within an organisation; credentials are never loaded."""

from django.db.models import BooleanField, Case, QuerySet, Value, When

from apps.core.django_rows import rows_of
from apps.providers.models import Model, ModelAlias, Provider


def providers(organisation_id: str) -> QuerySet[Provider]:
    """Providers with `has_credential` instead of the credential."""
    has = Case(When(credential=b"", then=Value(False)), default=Value(True), output_field=BooleanField())
    found = rows_of(Provider, organisation_id)
    return found.defer("credential").annotate(has_credential=has)


def models(organisation_id: str) -> QuerySet[Model]:
    """Models with their rates."""
    return rows_of(Model, organisation_id)


def aliases(organisation_id: str) -> QuerySet[ModelAlias]:
    """Aliases with their models."""
    return rows_of(ModelAlias, organisation_id).select_related("model")


def aliases_by_model(organisation_id: str, model_id: str = "") -> dict[str, tuple[str, ...]]:
    """The aliases of each model, or of one, in order."""
    rows = rows_of(ModelAlias, organisation_id)
    if model_id:
        rows = rows.filter(model_id=model_id)
    found: dict[str, tuple[str, ...]] = {}
    for model, name in rows.order_by("name").values_list("model_id", "name"):
        found[model] = (*found.get(model, ()), name)
    return found


def hold_provider(organisation_id: str, provider_id: str) -> bool:
    """Whether there is such a provider; until the transaction ends nobody can delete it."""
    return _hold(rows_of(Provider, organisation_id), provider_id)


def hold_model(organisation_id: str, model_id: str) -> bool:
    """Whether there is such a model; until the transaction ends nobody can delete it."""
    return _hold(rows_of(Model, organisation_id), model_id)


def _hold(rows: QuerySet[Provider] | QuerySet[Model], row_id: str) -> bool:
    # A plain key-share lock is what the foreign key takes; `no_key` lets other fields change meanwhile.
    return (
        rows.select_for_update(no_key=True).filter(id=row_id).values_list("id", flat=True).first() is not None
    )

# SPDX-License-Identifier: Apache-2.0
"""Reads of prices: what a model costs at which time, what operators set, and how records were priced again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum

from apps.core.django_rows import rows_of
from apps.providers.catalogue import Entry, catalogue
from apps.providers.models import Model, PriceCorrection, PriceOverride, Provider
from apps.providers.pricing import Override, Sources, read_prices, timeline
from apps.providers.rates import PriceList, Rates

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DIFFERENCE = F("cost_after") - F("cost_before")


class PriceBook:
    """What the operators of one organisation say about prices, read once."""

    def __init__(self, organisation_id: str) -> None:
        self.organisation_id = organisation_id
        self._general: list[Override] = []
        self._own: dict[str, list[Override]] = {}
        for row in overrides(organisation_id):
            into = self._general if row.model_id is None else self._own.setdefault(row.model_id, [])
            into.append(_override(row))

    def timeline(
        self, model: Model, provider: Provider | None = None, upstream_model: str = ""
    ) -> tuple[Rates, ...]:
        """The prices of a model at all times, oldest first; those of one target where its provider is given.

        The operator's word comes first: an override, then rates on the model. Then come published prices of the
        target's own provider and model, then those that the model names.
        """
        entry = _of_target(provider, upstream_model) if provider is not None else None
        return timeline(
            Sources(
                own=self._own.get(model.id, ()),
                general=self._general,
                fixed=_fixed(model),
                fixed_version=str(model.price_version),
                entry=entry or _of_model(model),
            )
        )


def overrides(organisation_id: str) -> QuerySet[PriceOverride]:
    """What operators set, newest beginning first."""
    return rows_of(PriceOverride, organisation_id).select_related("model")


def corrections(organisation_id: str) -> QuerySet[PriceCorrection]:
    """Records that were priced again, newest first."""
    return rows_of(PriceCorrection, organisation_id)


def price_timeline(
    organisation_id: str, model_id: str, provider_id: str = "", upstream_model: str = ""
) -> tuple[Rates, ...]:
    """The prices of a model, or of one target of it, at all times; DoesNotExist where there is no such model."""
    model = rows_of(Model, organisation_id).get(id=model_id)
    provider = rows_of(Provider, organisation_id).get(id=provider_id) if provider_id else None
    return PriceBook(model.organisation_id).timeline(model, provider, upstream_model)


def own_timeline(book: PriceBook, model_id: str, provider_id: str, upstream_model: str) -> tuple[Rates, ...]:
    """The prices of one target at all times; nothing where they are those of its model."""
    model = rows_of(Model, book.organisation_id).get(id=model_id)
    provider = rows_of(Provider, book.organisation_id).get(id=provider_id)
    found = book.timeline(model, provider, upstream_model)
    return () if found == book.timeline(model) else found


def named_timeline(
    book: PriceBook, model_name: str, provider_name: str, upstream_model: str
) -> tuple[Rates, ...]:
    """The prices of what a record names; nothing where its model is gone."""
    model = rows_of(Model, book.organisation_id).filter(name=model_name).first()
    if model is None:
        return ()
    provider = rows_of(Provider, book.organisation_id).filter(name=provider_name).first()
    return book.timeline(model, provider, upstream_model)


def correction_of(organisation_id: str, record_ids: Iterable[str]) -> dict[str, Decimal]:
    """Record id -> dollars to add to the cost in the record; records never priced again are left out."""
    rows = corrections(organisation_id).filter(record_id__in=list(record_ids)).order_by("record_id")
    return dict(rows.values_list("record_id").annotate(difference=Sum(_DIFFERENCE)))


def correction_total(
    organisation_id: str, start: datetime | None = None, end: datetime | None = None, model_name: str = ""
) -> Decimal:
    """Dollars to add to the cost of all records of a stretch of time, of one model where named."""
    wanted = Q()
    wanted &= Q(recorded_at__gte=start) if start is not None else Q()
    wanted &= Q(recorded_at__lt=end) if end is not None else Q()
    wanted &= Q(model_name=model_name) if model_name else Q()
    found = corrections(organisation_id).filter(wanted).aggregate(total=Sum(_DIFFERENCE))["total"]
    return Decimal(0) if found is None else found


def versions_of(organisation_id: str, record_ids: Iterable[str]) -> dict[str, str]:
    """Record id -> the prices it was last priced again with."""
    rows = corrections(organisation_id).filter(record_id__in=list(record_ids)).order_by("id")
    return dict(rows.values_list("record_id", "version_after"))


def _override(row: PriceOverride) -> Override:
    return Override(
        name=f"{row.id}.{row.revision}",
        from_ms=_milliseconds(row.starts_at),
        until_ms=None if row.ends_at is None else _milliseconds(row.ends_at),
        prices=None if row.prices is None else read_prices(row.prices),
        margin=row.margin.normalize(),
    )


def _milliseconds(moment: datetime) -> int:
    # Rounded up: a price never counts before its moment.
    return -((_EPOCH - moment) // _MILLISECOND)


def _fixed(model: Model) -> PriceList | None:
    if model.input_rate is None or model.output_rate is None:
        return None
    return PriceList(
        input=model.input_rate.normalize(),
        output=model.output_rate.normalize(),
        cache_read=None if model.cached_rate is None else model.cached_rate.normalize(),
        request=model.request_rate.normalize(),
    )


def _of_target(provider: Provider, upstream_model: str) -> Entry | None:
    source = catalogue().source_of(provider.base_url)
    return None if source is None else catalogue().find(source.provider, upstream_model)


def _of_model(model: Model) -> Entry | None:
    if not model.catalogue_provider:
        return None
    return catalogue().find(model.catalogue_provider, model.catalogue_model or model.name)

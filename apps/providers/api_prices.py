# SPDX-License-Identifier: Apache-2.0
"""`/api/prices`: the catalogue of published prices, what operators set, what a model costs when, and corrections."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import re_path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import RolePermission, RoleView, actor_of_request, scope_of
from apps.changes.domain import Role
from apps.core import clock, ids, money
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.providers import selectors_prices, services, services_prices
from apps.providers.catalogue import Entry, catalogue
from apps.providers.models import PriceCorrection, PriceOverride
from apps.providers.pricing import catalogue_version, document
from apps.providers.rates import Rates

READERS = (*services.WRITERS, Role.COMPLIANCE, Role.DEVELOPER, Role.AUDITOR)
MOST = 100


class Dollars(serializers.DecimalField):
    """Dollars or percent as text, exact."""

    @override
    def to_representation(self, value: Any) -> Any:
        """Plain digits with at least two decimals."""
        return None if value is None else money.text(value)


class PriceSerializer(StrictSerializer):
    """A price from a moment on, of one model or, without one, a margin on all of them."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    model_id = serializers.CharField(max_length=40, allow_null=True, default=None)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True, default=None)
    prices = serializers.DictField(
        allow_null=True,
        default=None,
        help_text="Dollars per million tokens as text; null leaves the usual prices.",
    )
    margin = Dollars(max_digits=9, decimal_places=4, min_value=-100, max_value=10_000, default=Decimal(0))
    revision = serializers.IntegerField(read_only=True)


class PricesView(RowsView):
    """Prices that operators set."""

    kind = PriceOverride
    serializer_class = PriceSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {
        "GET": READERS,
        **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), services.WRITERS),
    }

    @override
    def rows(self, request: Request) -> QuerySet[PriceOverride]:
        """Prices of the organisation."""
        return selectors_prices.overrides(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services_prices.create_price(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services_prices.change_price(actor=actor_of_request(request), price_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services_prices.delete_price(actor=actor_of_request(request), price_id=row_id)


class CorrectionSerializer(serializers.Serializer[Any]):
    """A record that was priced again."""

    id = serializers.CharField()
    record_id = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    model_name = serializers.CharField()
    cost_before = Dollars(max_digits=40, decimal_places=20)
    cost_after = Dollars(max_digits=40, decimal_places=20)
    version_before = serializers.CharField()
    version_after = serializers.CharField()
    reason = serializers.CharField()
    actor_name = serializers.CharField()
    at = serializers.DateTimeField()


class CorrectionsView(RowsView):
    """Records that were priced again; read only."""

    kind = PriceCorrection
    serializer_class = CorrectionSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {"GET": (*services.WRITERS, Role.COMPLIANCE, Role.AUDITOR)}

    @override
    def rows(self, request: Request) -> QuerySet[PriceCorrection]:
        """Corrections of the organisation."""
        return selectors_prices.corrections(scope_of(request))


class DatedSerializer(serializers.Serializer[Any]):
    """Prices from a moment on; null means "since ever"."""

    since = serializers.DateTimeField(allow_null=True)
    version = serializers.CharField()
    margin = serializers.CharField()
    prices = serializers.DictField(allow_null=True)


class EntrySerializer(serializers.Serializer[Any]):
    """A model in the catalogue."""

    provider = serializers.CharField()
    model = serializers.CharField()
    name = serializers.CharField()
    context = serializers.IntegerField()  # type: ignore[assignment]
    deprecated = serializers.BooleanField()
    note = serializers.CharField()
    history = DatedSerializer(many=True)


class CatalogueSerializer(serializers.Serializer[Any]):
    """What was found, and where it comes from."""

    source = serializers.CharField()  # type: ignore[assignment]
    version = serializers.CharField()
    made = serializers.DateField()
    more = serializers.BooleanField(help_text="There are more than are shown: ask for less.")
    results = EntrySerializer(many=True)


class CatalogueView(RoleView):
    """The published prices that this release knows."""

    roles: ClassVar = {"GET": READERS}

    @extend_schema(
        operation_id="prices_search",
        parameters=[OpenApiParameter("q", str), OpenApiParameter("provider", str)],
        responses=CatalogueSerializer,
    )
    def get(self, request: Request) -> Response:
        """Models whose provider, id or name has all words of `q`; at most 100."""
        book, asked = catalogue(), request.query_params
        found: list[Entry] = []
        for entry in book.search(asked.get("q", ""), asked.get("provider", "")):
            if len(found) > MOST:
                break
            found.append(entry)
        return Response(
            {
                "source": book.meta.source,
                "version": book.meta.version,
                "made": book.meta.made,
                "more": len(found) > MOST,
                "results": [_entry(entry) for entry in found[:MOST]],
            }
        )


class TimelineView(RoleView):
    """What a model costs at which time."""

    roles: ClassVar = {"GET": READERS}

    @extend_schema(operation_id="prices_of_model", responses=DatedSerializer(many=True))
    def get(self, request: Request, id: str) -> Response:
        """The model's prices, oldest first, with what operators set and the margin."""
        if not ids.is_id("mdl", id):
            raise NotFound()
        found = selectors_prices.price_timeline(scope_of(request), id)
        return Response([_dated(rates) for rates in found])


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "provider": entry.provider,
        "model": entry.id,
        "name": entry.name,
        "context": entry.context,
        "deprecated": entry.deprecated,
        "note": entry.note,
        "history": [
            {
                "since": _moment(dated.from_ms),
                "version": catalogue_version(entry, dated.prices, dated.since),
                "margin": "0.00",
                "prices": document(dated.prices),
            }
            for dated in entry.history
        ],
    }


def _dated(rates: Rates) -> dict[str, Any]:
    prices = document(rates)
    for name in ("version", "from_ms", "margin"):
        prices.pop(name, None)
    return {
        "since": _moment(rates.from_ms),
        "version": rates.version,
        "margin": money.text(rates.margin),
        "prices": prices if rates.version else None,
    }


def _moment(from_ms: int) -> str | None:
    return clock.from_ms(from_ms).isoformat() if from_ms else None


urlpatterns = [
    re_path(r"^prices/?$", CatalogueView.as_view(), name="prices"),
    re_path(r"^prices/models/(?P<id>[^/]+)/?$", TimelineView.as_view(), name="prices-of-model"),
    *row_urls("prices/overrides", PricesView),
    re_path(r"^prices/corrections/?$", CorrectionsView.as_view({"get": "list"}), name="prices-corrections"),
]

# SPDX-License-Identifier: Apache-2.0
"""`/api/providers` and `/api/models`; a credential goes in and never comes out."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override

from apps.changes.access import RolePermission, actor_of_request, scope_of
from apps.core import limits, money
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.identity.domain import Role
from apps.providers import api_prices, api_vendors, selectors, services
from apps.providers.domain import DEFAULT_OUTPUT_CAP, DIALECTS, LOCAL
from apps.providers.models import Model, Provider
from apps.providers.vendors import VENDORS

READERS = (*services.WRITERS, Role.COMPLIANCE, Role.DEVELOPER, Role.AUDITOR)
ROLES = {
    "GET": READERS,
    "POST": services.WRITERS,
    "PUT": services.WRITERS,
    "PATCH": services.WRITERS,
    "DELETE": services.WRITERS,
}
MOST_TOKENS = 100_000_000


class Rate(serializers.DecimalField):
    """Dollars as text, exact, without needless zeros."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=18, decimal_places=9, min_value=0, **kwargs)

    @override
    def to_representation(self, value: Any) -> Any:
        """Plain digits with at least two decimals."""
        return None if value is None else money.text(value)


class ProviderSerializer(StrictSerializer):
    """A provider; `has_credential` says whether a credential is stored."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=80)
    vendor = serializers.ChoiceField(
        choices=tuple(VENDORS),
        default="",
        allow_blank=True,
        help_text="Fills in dialect and address where they are empty; see /api/providers/vendors.",
    )
    dialect = serializers.ChoiceField(
        choices=(*DIALECTS, LOCAL),
        default="",
        allow_blank=True,
        help_text="Left empty, the vendor's, or openai without a vendor.",
    )
    base_url = serializers.CharField(
        max_length=500,
        default="",
        allow_blank=True,
        help_text="Left empty, the vendor's; what is local has none.",
    )
    credential = serializers.CharField(
        max_length=4096,
        allow_blank=True,
        required=False,
        write_only=True,
        style={"input_type": "password"},
        help_text="Left out, the stored one stays; empty, it is taken away.",
    )
    has_credential = serializers.BooleanField(read_only=True)
    connect_seconds = serializers.FloatField(default=limits.CONNECT_SECONDS, min_value=0.1, max_value=3600)
    answer_seconds = serializers.FloatField(default=limits.ANSWER_SECONDS, min_value=0.1, max_value=3600)
    silence_seconds = serializers.FloatField(default=limits.SILENCE_SECONDS, min_value=0.1, max_value=3600)
    verify_tls = serializers.BooleanField(default=True)
    private_allowed = serializers.BooleanField(read_only=True)
    pass_price = Rate(
        default=None,
        allow_null=True,
        help_text="Dollars for a request to /v1/passthrough, null where not known.",
    )
    pass_price_version = serializers.IntegerField(read_only=True)
    enabled = serializers.BooleanField(default=True)


class ModelSerializer(StrictSerializer):
    """A model; rates are dollars per million tokens and per request, null where no price is known."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(choices=services.KINDS, default=services.KINDS[0])
    output_cap = serializers.IntegerField(default=DEFAULT_OUTPUT_CAP, min_value=1, max_value=MOST_TOKENS)
    context = serializers.IntegerField(default=0, min_value=0, max_value=MOST_TOKENS)  # type: ignore[assignment]
    input_rate = Rate(default=None, allow_null=True)
    output_rate = Rate(default=None, allow_null=True)
    cached_rate = Rate(default=None, allow_null=True)
    request_rate = Rate(default=0)
    catalogue_provider = serializers.CharField(
        max_length=80,
        default="",
        allow_blank=True,
        help_text="Whose published prices count without own rates.",
    )
    catalogue_model = serializers.CharField(
        max_length=200,
        default="",
        allow_blank=True,
        help_text="Left empty, the name of the model is looked up.",
    )
    price_version = serializers.IntegerField(read_only=True)
    default = serializers.BooleanField(default=False)
    enabled = serializers.BooleanField(default=True)


class ProvidersView(RowsView):
    """Providers of the organisation."""

    kind = Provider
    serializer_class = ProviderSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = ROLES

    @override
    def rows(self, request: Request) -> QuerySet[Provider]:
        """Providers without their credentials."""
        return selectors.providers(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services.create_provider(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services.change_provider(actor=actor_of_request(request), provider_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services.delete_provider(actor=actor_of_request(request), provider_id=row_id)


class ModelsView(RowsView):
    """Models of the organisation."""

    kind = Model
    serializer_class = ModelSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = ROLES

    @override
    def rows(self, request: Request) -> QuerySet[Model]:
        """Models with their rates."""
        return selectors.models(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services.create_model(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services.change_model(actor=actor_of_request(request), model_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services.delete_model(actor=actor_of_request(request), model_id=row_id)


urlpatterns = [
    # Before the rows, whose ids these words would else be taken for.
    *api_vendors.urlpatterns,
    *row_urls("providers", ProvidersView),
    *row_urls("models", ModelsView),
    *api_prices.urlpatterns,
]

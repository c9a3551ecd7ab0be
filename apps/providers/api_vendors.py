# SPDX-License-Identifier: Apache-2.0
"""`/api/providers/vendors`, `/api/providers/capabilities` and `/api/models/aliases`."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import re_path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import ANYBODY, RolePermission, RoleView, actor_of_request, scope_of
from apps.changes.domain import Role
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.providers import capabilities, selectors, services, services_aliases
from apps.providers.models import ModelAlias
from apps.providers.vendors import VENDORS, Vendor

READERS = (*services.WRITERS, Role.COMPLIANCE, Role.DEVELOPER, Role.AUDITOR)


class VendorSerializer(serializers.Serializer[Any]):
    """A vendor whose endpoint is known."""

    id = serializers.CharField()
    name = serializers.CharField()
    dialect = serializers.CharField()
    base_url = serializers.CharField(help_text="Words in braces are yours to fill in.")
    incomplete = serializers.BooleanField(help_text="Whether the address has words in braces.")
    auth = serializers.CharField(help_text="bearer, header or none.")
    auth_header = serializers.CharField()
    note = serializers.CharField()
    renames = serializers.DictField(child=serializers.CharField())
    drops = serializers.ListField(child=serializers.CharField())
    refuses = serializers.DictField(child=serializers.CharField())
    source = serializers.CharField()  # type: ignore[assignment]
    checked = serializers.DateField()


class CapabilitySerializer(serializers.Serializer[Any]):
    """Whether a client of one dialect can have something from a provider of another."""

    client = serializers.CharField()
    provider = serializers.CharField()
    endpoint = serializers.CharField()
    streaming = serializers.BooleanField()
    feature = serializers.CharField()
    supported = serializers.BooleanField(
        allow_null=True, help_text="null: the client's own dialect has no word for it."
    )
    param = serializers.CharField(help_text="The client's field that is named in the refusal.")
    reason = serializers.CharField()


class VendorsView(RoleView):
    """Vendors whose addresses and differences this release knows."""

    roles: ClassVar = {"GET": ANYBODY}

    @extend_schema(operation_id="providers_vendors", responses=VendorSerializer(many=True))
    def get(self, request: Request) -> Response:
        """All vendors, in the order in which a form offers them."""
        return Response([_vendor(vendor) for vendor in VENDORS.values()])


class CapabilitiesView(RoleView):
    """What each client dialect can have from each provider dialect."""

    roles: ClassVar = {"GET": ANYBODY}

    @extend_schema(operation_id="providers_capabilities", responses=CapabilitySerializer(many=True))
    def get(self, request: Request) -> Response:
        """One row per client, provider, endpoint, form and feature."""
        return Response([row.facts() for row in capabilities.rows()])


class AliasSerializer(StrictSerializer):
    """Another name that clients may send for a model."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=120)
    model_id = serializers.CharField(max_length=40)


class AliasesView(RowsView):
    """Aliases of the organisation's models."""

    kind = ModelAlias
    serializer_class = AliasSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {
        "GET": READERS,
        **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), services.WRITERS),
    }

    @override
    def rows(self, request: Request) -> QuerySet[ModelAlias]:
        """Aliases of the organisation."""
        return selectors.aliases(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services_aliases.create_alias(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services_aliases.change_alias(actor=actor_of_request(request), alias_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services_aliases.delete_alias(actor=actor_of_request(request), alias_id=row_id)


def _vendor(vendor: Vendor) -> dict[str, Any]:
    return {str(name): getattr(vendor, str(name)) for name in VendorSerializer().get_fields()}


urlpatterns = [
    re_path(r"^providers/vendors/?$", VendorsView.as_view(), name="providers-vendors"),
    re_path(r"^providers/capabilities/?$", CapabilitiesView.as_view(), name="providers-capabilities"),
    *row_urls("models/aliases", AliasesView),
]

# SPDX-License-Identifier: Apache-2.0
"""`/api/targets`."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from typing_extensions import override

from apps.changes.access import RolePermission, actor_of_request, scope_of
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.identity.domain import Role
from apps.routing import selectors, services
from apps.routing.models import MOST_RANK, Target

READERS = (*services.WRITERS, Role.COMPLIANCE, Role.DEVELOPER, Role.AUDITOR)


class TargetSerializer(StrictSerializer):
    """A target, with the names of what its ids stand for."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=80)
    model_id = serializers.CharField(max_length=40)
    model = serializers.CharField(source="model.name", read_only=True)
    provider_id = serializers.CharField(max_length=40)
    provider = serializers.CharField(source="provider.name", read_only=True)
    upstream_model = serializers.CharField(max_length=200)
    rank = serializers.IntegerField(default=0, min_value=0, max_value=MOST_RANK)
    drained = serializers.BooleanField(default=False)


class TargetsView(RowsView):
    """Targets of the organisation."""

    kind = Target
    serializer_class = TargetSerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {
        "GET": READERS,
        "POST": services.WRITERS,
        "PUT": services.WRITERS,
        "PATCH": services.WRITERS,
        "DELETE": services.WRITERS,
    }

    @override
    def rows(self, request: Request) -> QuerySet[Target]:
        """Targets with their model and provider."""
        return selectors.targets(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services.create_target(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services.change_target(actor=actor_of_request(request), target_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services.delete_target(actor=actor_of_request(request), target_id=row_id)


urlpatterns = row_urls("targets", TargetsView)

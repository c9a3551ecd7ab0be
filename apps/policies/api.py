# SPDX-License-Identifier: Apache-2.0
"""`/api/policies`, the versions of each, and the schemas of the detector kinds."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import re_path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import RolePermission, RoleView, actor_of_request, scope_of
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.identity.domain import Role
from apps.policies import drafts, selectors, services
from apps.policies.domain import Action, Phase
from apps.policies.kinds import KINDS, schema
from apps.policies.models import PolicyRow

READERS = (*services.WRITERS, Role.ENGINEER, Role.AUDITOR)
ACTIONS = [action.value for action in Action if action is not Action.ALLOW]
PHASES = [phase.value for phase in Phase]


class DetectorSerializer(StrictSerializer):
    """A detector kind with its params; their schema is at `/api/policies/kinds`."""

    kind = serializers.ChoiceField(choices=list(KINDS))
    params = serializers.DictField(default=dict)


class ScopeSerializer(StrictSerializer):
    """Whose exchanges a policy looks at; a list that is left out or empty means everybody's."""

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """A list of names for each field of a scope."""
        return {
            name: serializers.ListField(
                child=serializers.CharField(max_length=drafts.MOST_CHARACTERS),
                max_length=drafts.MOST_NAMES,
                required=False,
            )
            for name in drafts.SCOPE_FIELDS
        }


class PolicySerializer(StrictSerializer):
    """A policy; a changed content gives it a new version."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=80)
    version = serializers.IntegerField(read_only=True)
    enabled = serializers.BooleanField(default=True)
    phases = serializers.ListField(
        child=serializers.ChoiceField(choices=PHASES), default=lambda: list(PHASES), allow_empty=False
    )
    action = serializers.ChoiceField(choices=ACTIONS, default=Action.BLOCK.value)
    detectors = serializers.ListField(
        child=DetectorSerializer(), allow_empty=False, max_length=drafts.MOST_DETECTORS
    )
    scope = ScopeSerializer(default=dict)
    fail_closed = serializers.BooleanField(default=True)


class VersionSerializer(serializers.Serializer[Any]):
    """What a policy said from some moment on."""

    id = serializers.CharField()
    number = serializers.IntegerField()
    content = serializers.DictField()
    author_id = serializers.CharField()
    author_name = serializers.CharField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class PoliciesView(RowsView):
    """Policies of the organisation."""

    kind = PolicyRow
    serializer_class = PolicySerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {
        "GET": READERS,
        "POST": services.WRITERS,
        "PUT": services.WRITERS,
        "PATCH": services.WRITERS,
        "DELETE": services.WRITERS,
    }

    @override
    def rows(self, request: Request) -> QuerySet[PolicyRow]:
        """Policies, enabled or not."""
        return selectors.policies(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create by the service."""
        return services.create_policy(actor=actor_of_request(request), **values).id

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services.change_policy(actor=actor_of_request(request), policy_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services.delete_policy(actor=actor_of_request(request), policy_id=row_id)

    def versions(self, request: Request, id: str) -> Response:
        """What the policy said, newest first; also of one that was deleted."""
        page = self.paginate_queryset(selectors.versions(scope_of(request), id).order_by("-id"))
        return self.get_paginated_response(VersionSerializer(page, many=True).data)


class KindsView(RoleView):
    """The detector kinds with the JSON schemas of their params."""

    roles: ClassVar = {"GET": READERS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Every kind that the editor offers."""
        offered = {name: kind for name, kind in KINDS.items() if kind.OFFERED}
        return Response(
            {name: {"label": kind.LABEL, "params": schema(name)} for name, kind in offered.items()}
        )


urlpatterns = [
    re_path(r"^policies/kinds/?$", KindsView.as_view(), name="policy-kinds"),
    re_path(
        r"^policies/(?P<id>[^/]+)/versions/?$",
        PoliciesView.as_view({"get": "versions"}),
        name="policy-versions",
    ),
    *row_urls("policies", PoliciesView),
]

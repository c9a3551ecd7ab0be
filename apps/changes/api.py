# SPDX-License-Identifier: Apache-2.0
"""The change log over the API: to read only."""

from typing import Any

from django.urls import URLPattern, re_path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes import selectors
from apps.changes.access import RolePermission, scope_of
from apps.changes.domain import Role
from apps.changes.models import Change

READERS = (Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR, Role.ENGINEER)
_FILTERS = ("subject", "actor", "verb")


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """One entry."""

    class Meta:
        model = Change
        fields = [
            "id", "organisation_id", "at", "actor_id", "actor_name", "actor_kind", "verb", "subject_id",
            "subject_name", "subject_type", "before", "after", "reason", "request_id",
        ]  # fmt: skip
        read_only_fields = fields


class ChangesView(ListAPIView[Change]):
    """Entries of the organisation, newest first."""

    permission_classes = [RolePermission]
    roles = {"GET": READERS}
    serializer_class = ChangeSerializer
    queryset = Change.objects.none()

    @extend_schema(parameters=[OpenApiParameter(name, str) for name in _FILTERS])
    @override
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of entries; narrow it by exact `subject` id, `actor` id and `verb`."""
        return super().get(request, *args, **kwargs)

    @override
    def get_queryset(self) -> Any:
        """What the person may see of it."""
        if getattr(self, "swagger_fake_view", False):
            return Change.objects.none()
        wanted = {name: self.request.query_params.get(name, "") for name in _FILTERS}
        return selectors.changes(scope_of(self.request), **wanted)


urlpatterns: list[URLPattern] = [re_path(r"^changes/?$", ChangesView.as_view(), name="changes")]

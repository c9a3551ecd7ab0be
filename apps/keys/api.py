# SPDX-License-Identifier: Apache-2.0
"""`/api/enterprise/vkeys`; the secret of a key is in the answer that creates it and in no other."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import RolePermission, actor_of_request, scope_of
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.identity.domain import Role
from apps.keys import selectors, services
from apps.keys.models import MOST_REQUESTS, VirtualKey, every_model

_WIRE = {"allowed_models": "models"}


class Count(serializers.IntegerField):
    """A whole number from 1 up, or null for no limit."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MOST_REQUESTS, allow_null=True, default=None, **kwargs)


class KeySerializer(StrictSerializer):
    """A virtual key by its hint; `models` are public names or patterns."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=80)
    hint = serializers.CharField(read_only=True)
    team_id = serializers.CharField(max_length=40)
    team = serializers.CharField(source="team.name", read_only=True)
    person_id = serializers.CharField(max_length=40, allow_null=True, default=None)
    person = serializers.CharField(source="person.name", read_only=True, default=None)
    models = serializers.ListField(
        source="allowed_models",
        child=serializers.CharField(max_length=120),
        default=every_model,
        max_length=200,
    )
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    enabled = serializers.BooleanField(default=True)
    requests_per_minute = Count()
    requests_at_once = Count()
    assumed_output_tokens = Count()
    may_assert_person = serializers.BooleanField(default=False)
    may_override_route = serializers.BooleanField(default=False)
    passthrough = serializers.ListField(
        child=serializers.CharField(max_length=300),
        default=list,
        max_length=200,
        help_text="Patterns such as openai/files/* that may be passed through; empty allows none.",
    )
    budget_ids = serializers.ListField(
        child=serializers.CharField(max_length=40), default=list, max_length=50
    )

    @override
    def to_representation(self, instance: VirtualKey) -> dict[str, Any]:
        """The key with the ids of its own budgets."""
        instance.budget_ids = sorted(budget.id for budget in instance.budgets.all())  # type: ignore[attr-defined]
        return super().to_representation(instance)


class KeysView(RowsView):
    """Virtual keys of the organisation."""

    kind = VirtualKey
    serializer_class = KeySerializer
    permission_classes = (RolePermission,)
    roles: ClassVar = {
        "GET": (*services.WRITERS, Role.COMPLIANCE, Role.AUDITOR),
        "POST": services.WRITERS,
        "PUT": services.WRITERS,
        "PATCH": services.WRITERS,
        "DELETE": services.WRITERS,
    }

    @override
    def wire_name(self, name: str) -> str:
        """The name that a client knows a column by."""
        return _WIRE.get(name, name)

    @override
    def rows(self, request: Request) -> QuerySet[VirtualKey]:
        """Keys with their team, owner and budgets."""
        return selectors.keys(scope_of(request))

    @override
    def create(self, request: Request) -> Response:
        """201 with the key and, this once, its secret."""
        key, secret = services.issue_key(actor=actor_of_request(request), **self.checked(request))
        answer = Response({**self.get_serializer(key).data, "secret": secret}, status=201)
        answer["cache-control"] = "no-store"
        return answer

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change by the service."""
        services.change_key(actor=actor_of_request(request), key_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete by the service."""
        services.delete_key(actor=actor_of_request(request), key_id=row_id)


urlpatterns = row_urls("enterprise/vkeys", KeysView)

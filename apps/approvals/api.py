# SPDX-License-Identifier: Apache-2.0
"""Approval requests over the control API."""

from typing import Any

from django.urls import URLPattern, re_path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.approvals import selectors, services
from apps.approvals.domain import ConflictError, Decision, State
from apps.approvals.models import ApprovalRequest
from apps.changes.access import ANYBODY, RolePermission, RoleView, actor_of_request
from apps.core.django_api import Conflict, StrictSerializer

_MOST_LIMITS = 20


class ApprovalSerializer(serializers.ModelSerializer[ApprovalRequest]):
    """One request."""

    class Meta:
        model = ApprovalRequest
        fields = [
            "id", "organisation_id", "subject_kind", "subject_id", "subject_name", "digest", "purpose", "limits",
            "requested_by", "requested_by_name", "requested_at", "expires_at", "state", "decided_by",
            "decided_by_name", "decided_at", "reason",
        ]  # fmt: skip
        read_only_fields = fields


class NewApprovalSerializer(StrictSerializer):
    """What is asked for."""

    subject_kind = serializers.RegexField(r"^[a-z_]{1,40}$")
    subject_id = serializers.CharField(max_length=64)
    subject_name = serializers.CharField(max_length=200, required=False)
    digest = serializers.CharField(max_length=64, allow_blank=True, default="")
    purpose = serializers.CharField(max_length=5000, allow_blank=True, default="")
    limits = serializers.DictField(default=dict)
    expires_at = serializers.DateTimeField(required=False)

    def validate_limits(self, limits: dict[str, Any]) -> dict[str, Any]:
        """A few named plain values, so that the queue can show them."""
        if len(limits) > _MOST_LIMITS or any(isinstance(value, dict | list) for value in limits.values()):
            raise serializers.ValidationError(f"Give at most {_MOST_LIMITS} names with one plain value each.")
        return limits


class DecisionSerializer(StrictSerializer):
    """What a second person says."""

    decision = serializers.ChoiceField([decision.value for decision in Decision])
    reason = serializers.CharField(max_length=5000, allow_blank=True, default="")


class ApprovalsView(GenericAPIView[ApprovalRequest]):
    """Requests that the person may see, and new ones."""

    permission_classes = [RolePermission]
    roles = {"GET": ANYBODY, "POST": ANYBODY}
    serializer_class = ApprovalSerializer
    queryset = ApprovalRequest.objects.none()

    @override
    def get_queryset(self) -> Any:
        """The organisation's for those who decide or check, one's own for everybody else."""
        state = self.request.query_params.get("state", "")
        if state and state not in set(State):
            raise ValidationError({"state": [f"Choose one of {', '.join(State)}."]})
        return selectors.requests_for(actor_of_request(self.request), state=State(state) if state else None)

    @extend_schema(
        operation_id="approvals_list",
        parameters=[OpenApiParameter("state", str, enum=[state.value for state in State])],
        responses=ApprovalSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """A page of them, newest first; narrow it by `state`."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ApprovalSerializer(page, many=True).data)

    @extend_schema(request=NewApprovalSerializer, responses={201: ApprovalSerializer})
    def post(self, request: Request) -> Response:
        """Ask; 409 when the same waits already."""
        form = NewApprovalSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        values.setdefault("subject_name", values["subject_id"])
        try:
            row = services.request_approval(actor=actor_of_request(request), **values)
        except ConflictError as fault:
            raise Conflict(str(fault)) from None
        return Response(ApprovalSerializer(row).data, status=status.HTTP_201_CREATED)


class ApprovalView(RoleView):
    """One request."""

    roles = {"GET": ANYBODY}

    @extend_schema(responses=ApprovalSerializer)
    def get(self, request: Request, id: str) -> Response:
        """The request as it stands."""
        row = selectors.requests_for(actor_of_request(request)).get(pk=id)
        return Response(ApprovalSerializer(row).data)


class DecideView(RoleView):
    """The second person's word."""

    roles = {"POST": services.DECIDERS}

    @extend_schema(request=DecisionSerializer, responses=ApprovalSerializer)
    def post(self, request: Request, id: str) -> Response:
        """Approve or deny; 403 for one's own request, 409 when it has ended."""
        form = DecisionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            row = services.decide(
                actor=actor_of_request(request),
                approval_id=id,
                decision=Decision(form.validated_data["decision"]),
                reason=form.validated_data["reason"],
            )
        except ConflictError as fault:
            raise Conflict(str(fault)) from None
        return Response(ApprovalSerializer(row).data)


urlpatterns: list[URLPattern] = [
    re_path(r"^approvals/?$", ApprovalsView.as_view(), name="approvals"),
    re_path(r"^approvals/(?P<id>[^/]+)/?$", ApprovalView.as_view(), name="approval"),
    re_path(r"^approvals/(?P<id>[^/]+)/decide/?$", DecideView.as_view(), name="approval-decide"),
]

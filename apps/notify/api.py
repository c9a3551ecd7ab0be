# SPDX-License-Identifier: Apache-2.0
"""Notices and webhooks over the control API."""

from typing import Any

from django.db.models import QuerySet
from django.urls import URLPattern, re_path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import ANYBODY, RolePermission, RoleView, actor_of_request, scope_of
from apps.changes.domain import Role
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.notify import selectors, services
from apps.notify.models import Delivery, Notice, Webhook


class NoticeSerializer(serializers.ModelSerializer[Notice]):
    """One notice."""

    is_read = serializers.BooleanField(read_only=True)

    class Meta:
        model = Notice
        fields = ["id", "event", "title", "text", "link", "data", "created_at", "is_read"]
        read_only_fields = fields


class NoticesView(ListAPIView[Notice]):
    """The notices to the person who asks."""

    permission_classes = [RolePermission]
    roles = {"GET": ANYBODY}
    serializer_class = NoticeSerializer
    queryset = Notice.objects.none()

    @extend_schema(parameters=[OpenApiParameter("unread", bool)])
    @override
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of them, newest first; `unread=1` leaves out those that were read."""
        return super().get(request, *args, **kwargs)

    @override
    def get_queryset(self) -> Any:
        """The person's own."""
        if getattr(self, "swagger_fake_view", False):
            return Notice.objects.none()
        unread = self.request.query_params.get("unread", "") in {"1", "true"}
        return selectors.notices_for(actor_of_request(self.request), unread=unread)


class ReadAnswer(serializers.Serializer[Any]):
    """How many notices were marked."""

    read = serializers.IntegerField()


class ReadView(RoleView):
    """Marks one notice as read."""

    roles = {"POST": ANYBODY}

    @extend_schema(request=None, responses=ReadAnswer)
    def post(self, request: Request, id: str) -> Response:
        """Mark one of one's own notices as read; doing it twice changes nothing."""
        actor = actor_of_request(request)
        selectors.notices_for(actor).get(pk=id)
        return Response({"read": services.mark_read(actor=actor, notice_ids=[id])})


class ReadAllView(RoleView):
    """Marks all notices as read."""

    roles = {"POST": ANYBODY}

    @extend_schema(operation_id="notices_read_all", request=None, responses=ReadAnswer)
    def post(self, request: Request) -> Response:
        """Mark all of one's own notices as read."""
        return Response({"read": services.mark_read(actor=actor_of_request(request))})


class WebhookSerializer(StrictSerializer):
    """A webhook without its secret."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=200)
    url = serializers.CharField(max_length=1000)
    events = serializers.ListField(
        child=serializers.CharField(max_length=64), allow_empty=False, max_length=50
    )
    enabled = serializers.BooleanField(default=True)
    created_at = serializers.DateTimeField(read_only=True)


class WebhooksView(RowsView):
    """The webhooks of the organisation."""

    serializer_class = WebhookSerializer
    permission_classes = [RolePermission]
    roles = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), (Role.ADMIN,))
    kind = Webhook

    @override
    def rows(self, request: Request) -> QuerySet[Webhook]:
        """The organisation's."""
        return selectors.webhooks(scope_of(request))

    @override
    def create(self, request: Request) -> Response:
        """201 with the secret, which is shown this once only."""
        row, secret = services.create_webhook(actor=actor_of_request(request), **self.checked(request))
        return Response({**self.get_serializer(row).data, "secret": secret}, status=status.HTTP_201_CREATED)

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change it."""
        services.change_webhook(actor=actor_of_request(request), webhook_id=row_id, **values)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete it."""
        services.delete_webhook(actor=actor_of_request(request), webhook_id=row_id)


class SecretAnswer(serializers.Serializer[Any]):
    """A webhook's new secret."""

    id = serializers.CharField()
    secret = serializers.CharField()


class RotateView(RoleView):
    """Gives a webhook a new secret."""

    roles = {"POST": (Role.ADMIN,)}

    @extend_schema(request=None, responses=SecretAnswer)
    def post(self, request: Request, id: str) -> Response:
        """The new secret, shown this once only; the old one signs nothing any more."""
        row, secret = services.rotate_webhook_secret(actor=actor_of_request(request), webhook_id=id)
        return Response({"id": row.pk, "secret": secret})


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One delivery."""

    event = serializers.CharField(source="notice.event", read_only=True)
    event_id = serializers.CharField(source="notice_id", read_only=True)

    class Meta:
        model = Delivery
        fields = ["id", "event", "event_id", "state", "attempts", "next_at", "status", "fault", "finished_at"]
        read_only_fields = fields


class DeliveriesView(ListAPIView[Delivery]):
    """What was sent to a webhook and what came of it."""

    permission_classes = [RolePermission]
    roles = {"GET": (Role.ADMIN,)}
    serializer_class = DeliverySerializer
    queryset = Delivery.objects.none()

    @override
    def get_queryset(self) -> Any:
        """Those of the webhook in the address."""
        if getattr(self, "swagger_fake_view", False):
            return Delivery.objects.none()
        webhook = selectors.webhooks(scope_of(self.request)).get(pk=self.kwargs["id"])
        return selectors.deliveries(webhook.organisation_id, webhook.pk)


class RetryView(RoleView):
    """Tries a delivery that was given up again."""

    roles = {"POST": (Role.ADMIN,)}

    @extend_schema(request=None, responses=DeliverySerializer)
    def post(self, request: Request, id: str) -> Response:
        """The delivery, which waits again."""
        return Response(
            DeliverySerializer(services.retry_delivery(actor=actor_of_request(request), delivery_id=id)).data
        )


_ID = r"(?P<id>[a-z]+_[0-9a-f]{32})"
urlpatterns: list[URLPattern] = [
    re_path(r"^notices/?$", NoticesView.as_view(), name="notices"),
    re_path(r"^notices/read/?$", ReadAllView.as_view(), name="notices-read"),
    re_path(rf"^notices/{_ID}/read/?$", ReadView.as_view(), name="notice-read"),
    *row_urls("webhooks", WebhooksView),
    re_path(rf"^webhooks/{_ID}/rotate/?$", RotateView.as_view(), name="webhook-rotate"),
    re_path(rf"^webhooks/{_ID}/deliveries/?$", DeliveriesView.as_view(), name="webhook-deliveries"),
    re_path(rf"^deliveries/{_ID}/retry/?$", RetryView.as_view(), name="delivery-retry"),
]

# SPDX-License-Identifier: Apache-2.0
"""Records over the API: list, get, and the logged reveal of a stored body."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from django.urls import URLPattern, re_path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit import selectors, services
from apps.audit.domain import Record, Verdict
from apps.audit.selectors import CursorError, RecordFilters
from apps.changes.access import RoleView, actor_of_request, scope_of
from apps.changes.domain import Role
from apps.core import ids
from apps.core.django_api import StrictSerializer

READERS = (Role.ADMIN, Role.COMPLIANCE, Role.ENGINEER, Role.AUDITOR)
_TEXTS = ("model", "person", "key", "team", "target", "cache", "session", "q")
_SUMMARY = (
    "id", "organisation_id", "state", "key_id", "key_name", "person_id", "person_name", "team_id", "team_name",
    "session_id", "path", "stream", "model", "verdict", "status", "error_code", "finish_reason", "target", "provider",
    "cache_hit", "input_tokens", "output_tokens", "usage_source", "cost", "charged", "total_us", "upstream_us",
    "first_byte_us", "body_stored", "demo",
)  # fmt: skip


class QuerySerializer(serializers.Serializer[Any]):
    """What the list can be narrowed by; `from` and `to` are moments with a time zone."""

    model = serializers.CharField(required=False, max_length=200)
    person = serializers.CharField(required=False, max_length=200, help_text="id or part of the name")
    key = serializers.CharField(required=False, max_length=200, help_text="id or part of the name")
    team = serializers.CharField(required=False, max_length=200, help_text="id or part of the name")
    target = serializers.CharField(required=False, max_length=200, help_text="part of target or provider")
    cache = serializers.CharField(required=False, max_length=32, help_text="the phase that hit")
    session = serializers.CharField(required=False, max_length=200)
    q = serializers.CharField(required=False, max_length=200, help_text="a record's id, or part of a name")
    status = serializers.IntegerField(required=False, min_value=0, max_value=999)
    verdict = serializers.ChoiceField(required=False, choices=[verdict.value for verdict in Verdict])
    cursor = serializers.CharField(required=False, max_length=100)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=selectors.MOST, default=50)


QuerySerializer._declared_fields |= {
    "from": serializers.DateTimeField(required=False),
    "to": serializers.DateTimeField(required=False),
}


class ReasonSerializer(StrictSerializer):
    """Why somebody needs to read a body."""

    reason = serializers.CharField(max_length=services.LONGEST_REASON)


class RevealedSerializer(serializers.Serializer[Any]):
    """Prompt and answer as they were stored."""

    id = serializers.CharField()
    record = serializers.CharField()
    stored = serializers.BooleanField()
    redacted = serializers.BooleanField()
    prompt = serializers.CharField()
    answer = serializers.CharField()
    detail = serializers.CharField()


class RecordsView(RoleView):
    """Records of the organisation, newest first."""

    roles = {"GET": READERS}

    @extend_schema(operation_id="records_list", parameters=[QuerySerializer], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """A page of records without their details; `next` and `previous` are addresses."""
        asked = QuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        wanted = RecordFilters(
            start=values.get("from"),
            end=values.get("to"),
            status=values.get("status"),
            verdict=values.get("verdict", ""),
            **{name: values.get(name, "") for name in _TEXTS},
        )
        try:
            found = selectors.page(
                scope_of(request), filters=wanted, cursor=values.get("cursor"), limit=values["limit"]
            )
        except CursorError:
            raise ValidationError(
                {"cursor": ["This is not a cursor of this list. Leave it out to begin anew."]}
            ) from None
        return Response(
            {
                "next": _address(request, found.older),
                "previous": _address(request, found.newer),
                "results": [summary(record) for record in found.records],
            }
        )


class RecordView(RoleView):
    """One record."""

    roles = {"GET": READERS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: str) -> Response:
        """All of a record: stages, attempts, evaluations, cost."""
        record = selectors.get(scope_of(request), id)
        if record is None:
            raise NotFound
        return Response(detail(record))


class RevealView(RoleView):
    """The logged reveal."""

    roles = {"POST": services.REVEALERS}

    @extend_schema(
        request=ReasonSerializer,
        responses=RevealedSerializer,
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH)],
    )
    def post(self, request: Request, id: str) -> Response:
        """What was sent and answered, for a reason; that it was read is in the change log."""
        if selectors.get(scope_of(request), id) is None:
            raise NotFound
        asked = ReasonSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = services.reveal(
            actor=actor_of_request(request), record_id=id, reason=asked.validated_data["reason"]
        )
        text = found.fault or (
            "" if found.stored else "No body was stored: the organisation keeps none, or kept none then."
        )
        return Response(
            {
                "id": found.reveal_id, "record": id, "stored": found.stored, "redacted": found.redacted,
                "prompt": found.prompt, "answer": found.answer, "detail": text,
            }
        )  # fmt: skip


def summary(record: Record) -> dict[str, Any]:
    """A record as the list shows it."""
    found = {"id": record.id, "ts": ids.moment(record.id)}
    return found | {name: _plain(getattr(record, name)) for name in _SUMMARY}


def detail(record: Record) -> dict[str, Any]:
    """All of a record, defaults included."""
    found: dict[str, Any] = {"id": record.id, "ts": ids.moment(record.id)}
    found |= {name: _plain(getattr(record, name)) for name in record.__struct_fields__}
    found["stages"] = [
        {"name": stage.name, "began_us": stage.began_us, "took_us": stage.took_us} for stage in record.stages
    ]
    found["overhead_us"] = max(0, record.total_us - record.upstream_us)
    return found


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _address(request: Request, cursor: str) -> str | None:
    """The address of another page of the same list."""
    if not cursor:
        return None
    query = {**request.query_params.dict(), "cursor": cursor}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


urlpatterns: list[URLPattern] = [
    re_path(r"^records/?$", RecordsView.as_view(), name="records"),
    re_path(r"^records/(?P<id>[^/]+)/reveal/?$", RevealView.as_view(), name="record-reveal"),
    re_path(r"^records/(?P<id>[^/]+)/?$", RecordView.as_view(), name="record"),
]

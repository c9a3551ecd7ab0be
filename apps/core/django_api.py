# SPDX-License-Identifier: Apache-2.0
"""The REST face of one kind of row: strict fields, roles before look-ups, refusals with the right status."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as RuleError
from django.db.models import QuerySet
from django.urls import URLPattern, re_path
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet
from typing_extensions import override

from apps.core import ids
from apps.core.django_rows import InUseError


class Conflict(APIException):
    """409: the row as it stands does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class NothingView(APIView):
    """Every address of the API that no room has: a stranger learns that they must sign in, and no more."""

    schema = None

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """401 for strangers, else 404, whatever the method."""
        super().initial(request, *args, **kwargs)
        raise NotFound()


class StrictSerializer(Serializer[Any]):
    """A serializer that refuses fields it does not know or that cannot be set, by name."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        """The values of the known fields; ValidationError names every unknown one."""
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            fixed = set(self.fields) - known
            faults = {
                str(name): [_("This field cannot be set.") if name in fixed else _("There is no such field.")]
                for name in data
                if name not in known
            }
            if faults:
                raise ValidationError(faults)
        return super().to_internal_value(data)


class RowsView(GenericViewSet[Any]):
    """List, create, read, change and delete rows of one kind through the services of their room.

    Rooms set `permission_classes`: they are asked before anything is looked up.
    """

    lookup_field = "id"
    kind: ClassVar[Any]  # the model, an OrganisationRow

    def rows(self, request: Request) -> QuerySet[Any]:
        """The rows that the person may see."""
        raise NotImplementedError

    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Create a row from checked values; its id."""
        raise NotImplementedError

    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change a row by checked values."""
        raise NotImplementedError

    def remove(self, request: Request, row_id: str) -> None:
        """Delete a row."""
        raise NotImplementedError

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who it is, then whether they may, then whether there can be such a row."""
        super().initial(request, *args, **kwargs)
        if "id" in kwargs and not ids.is_id(self.kind.KIND, kwargs["id"]):
            raise NotFound()

    @override
    def get_queryset(self) -> QuerySet[Any]:
        """The rows that the person may see."""
        # The page that describes the API asks too, and has no person.
        return (
            self.kind.objects.none() if getattr(self, "swagger_fake_view", False) else self.rows(self.request)
        )

    @override
    def handle_exception(self, exc: Exception) -> Response:
        """Faults of services: fields under the names that clients know, rows in use as 409."""
        if isinstance(exc, RuleError) and hasattr(exc, "error_dict"):
            exc = ValidationError({self.wire_name(name): texts for name, texts in exc.message_dict.items()})
        elif isinstance(exc, InUseError):
            exc = Conflict(str(exc))
        return super().handle_exception(exc)

    def wire_name(self, name: str) -> str:
        """The name that a client knows a column by."""
        return name

    def list(self, request: Request) -> Response:
        """Newest first, by cursor."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def create(self, request: Request) -> Response:
        """201 with the new row."""
        values = self.checked(request)
        answer = self.retrieve(request, self.add(request, values))
        answer.status_code = status.HTTP_201_CREATED
        return answer

    def retrieve(self, request: Request, id: str) -> Response:
        """One row."""
        return Response(self.get_serializer(self.get_queryset().get(id=id)).data)

    def update(self, request: Request, id: str, *, partial: bool = False) -> Response:
        """The row after the change; fields that PUT leaves out go back to their defaults."""
        if not self.get_queryset().filter(id=id).exists():
            raise NotFound()
        values = self.checked(request, partial=partial)
        self.alter(request, id, values)
        return self.retrieve(request, id)

    def partial_update(self, request: Request, id: str) -> Response:
        """The row after the change; fields that PATCH leaves out stay."""
        return self.update(request, id, partial=True)

    def destroy(self, request: Request, id: str) -> Response:
        """204 once the row is gone."""
        self.remove(request, id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def checked(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        """The values of a body; ValidationError by field."""
        serializer = self.get_serializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def row_urls(address: str, view: type[RowsView]) -> list[URLPattern]:
    """The two addresses of a kind of row, each with or without a slash at its end."""
    many: dict[str, Any] = {"get": "list", "post": "create"}
    one: dict[str, Any] = {
        "get": "retrieve",
        "put": "update",
        "patch": "partial_update",
        "delete": "destroy",
    }
    name = address.replace("/", "-")
    return [
        re_path(rf"^{address}/?$", view.as_view(many), name=name),
        re_path(rf"^{address}/(?P<id>[^/]+)/?$", view.as_view(one), name=f"{name}-one"),
    ]

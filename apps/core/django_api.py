# SPDX-License-Identifier: Apache-2.0
"""The REST face of one kind of row: strict fields, roles before look-ups, refusals with the right status."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist
from django.core.exceptions import ValidationError as RuleError
from django.db.models import QuerySet
from django.urls import URLPattern, re_path
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet
from typing_extensions import override

from apps.core.django_rows import InUseError


class Conflict(APIException):
    """409: the row as it stands does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


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
    """List, create, read, change and delete rows of one kind through the services of their room."""

    serializer_class: ClassVar[type[StrictSerializer]]  # type: ignore[misc]  # narrower than DRF's
    lookup_field = "id"
    lookup_value_regex = "[a-z]{2,4}_[0-9a-f]{32}"

    def check_role(self, request: Request) -> None:
        """Raise Forbidden unless the person may do this; asked before anything is looked up."""
        raise NotImplementedError

    def rows(self, request: Request) -> QuerySet[Any]:
        """The rows that the person may see."""
        raise NotImplementedError

    def add(self, request: Request, values: dict[str, Any]) -> Any:
        """Create a row from checked values."""
        raise NotImplementedError

    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> Any:
        """Change a row by checked values."""
        raise NotImplementedError

    def remove(self, request: Request, row_id: str) -> None:
        """Delete a row."""
        raise NotImplementedError

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who it is, then whether they may, then everything else."""
        super().initial(request, *args, **kwargs)
        self.check_role(request)

    @override
    def get_queryset(self) -> QuerySet[Any]:
        """The rows that the person may see."""
        return self.rows(self.request)

    @override
    def handle_exception(self, exc: Exception) -> Response:
        """Faults of services as what they mean over HTTP."""
        match exc:
            case RuleError():
                faults = exc.message_dict if hasattr(exc, "error_dict") else {NON_FIELD_ERRORS: exc.messages}
                exc = ValidationError({self.wire_name(name): texts for name, texts in faults.items()})
            case InUseError():
                exc = Conflict(str(exc))
            case ObjectDoesNotExist():
                exc = NotFound()
        return super().handle_exception(exc)

    def wire_name(self, name: str) -> str:
        """The name that a client knows a column by."""
        return "detail" if name == NON_FIELD_ERRORS else name

    def list(self, request: Request) -> Response:
        """Newest first, by cursor."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def create(self, request: Request) -> Response:
        """201 with the new row."""
        values = self._checked(request, partial=False)
        row = self.add(request, values)
        return Response(self.created(row), status=status.HTTP_201_CREATED)

    def created(self, row: Any) -> Any:
        """The answer to a create; the row as it is read, unless a room has more to say once."""
        return self.get_serializer(row).data

    def retrieve(self, request: Request, id: str) -> Response:
        """One row."""
        return Response(self.get_serializer(self.get_queryset().get(id=id)).data)

    def update(self, request: Request, id: str, *, partial: bool = False) -> Response:
        """The row after the change; fields that PUT leaves out go back to their defaults."""
        self.get_queryset().only("id").get(id=id)
        values = self._checked(request, partial=partial)
        self.alter(request, id, values)
        return self.retrieve(request, id)

    def partial_update(self, request: Request, id: str) -> Response:
        """The row after the change; fields that PATCH leaves out stay."""
        return self.update(request, id, partial=True)

    def destroy(self, request: Request, id: str) -> Response:
        """204 once the row is gone."""
        self.remove(request, id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _checked(self, request: Request, *, partial: bool) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def row_urls(address: str, view: type[RowsView]) -> list[URLPattern]:
    """The two addresses of a kind of row, each with or without a slash at its end."""
    many: dict[str, str | Callable[..., Any]] = {"get": "list", "post": "create"}
    one: dict[str, str | Callable[..., Any]] = {
        "get": "retrieve",
        "put": "update",
        "patch": "partial_update",
        "delete": "destroy",
    }
    name = address.replace("/", "-")
    return [
        re_path(rf"^{address}/?$", view.as_view(many), name=name),
        re_path(rf"^{address}/(?P<id>{view.lookup_value_regex})/?$", view.as_view(one), name=f"{name}-one"),
    ]

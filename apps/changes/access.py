# SPDX-License-Identifier: Apache-2.0
"""Who asks over the API, and whether their roles allow the method; what a view does not name is refused."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView
from typing_extensions import override

from apps.changes.domain import Actor, Forbidden, Role, require
from apps.core import ids
from apps.core.tenancy import EVERYONE

ANYBODY: tuple[Role, ...] = ()
_REQUEST_ID = "x-request-id"


class Acting(Protocol):
    """A signed-in person."""

    def actor(self, *, kind: str = "person", request_id: str = "") -> Actor:
        """The person as services want them."""
        ...


def actor_of_request(request: Request | Any) -> Actor:
    """Who sends a request of Django or DRF; Forbidden for a stranger."""
    person: Acting | Any = request.user
    if not getattr(person, "is_authenticated", False):
        raise Forbidden("Sign in first.")
    kind = "token" if getattr(request, "auth", None) is not None else "person"
    actor: Actor = person.actor(
        kind=kind, request_id=request.headers.get(_REQUEST_ID, "")[:64] or ids.new("req")
    )
    return actor


def scope_of(request: Request | Any) -> str:
    """Whose rows the person sees: their organisation's, or all for superusers."""
    actor = actor_of_request(request)
    return EVERYONE if actor.is_superuser else actor.organisation_id


class RolePermission(BasePermission):
    """Roles per method, from the view's `roles`; `ANYBODY` lets every signed-in person in.

    A method that the view answers but does not list is refused, so that nothing opens by oversight.
    """

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the person may use the method; Forbidden names the role that would."""
        if not getattr(request.user, "is_authenticated", False):
            return False
        roles: Mapping[str, tuple[Role, ...]] = getattr(view, "roles", {})
        method = "GET" if request.method in {"HEAD", "OPTIONS"} else str(request.method)
        if method not in roles:
            # DRF answers 405 by itself where the view has no such method.
            return not hasattr(view, method.lower()) or method.lower() not in view.http_method_names
        if roles[method]:
            require(actor_of_request(request), *roles[method])
        return True


class RoleView(APIView):
    """A view with roles per method."""

    permission_classes = [RolePermission]
    roles: ClassVar[Mapping[str, tuple[Role, ...]]] = {}

# SPDX-License-Identifier: Apache-2.0
"""The control API of people, teams and tokens."""

from typing import Any, TypeVar

from django.db.models import QuerySet
from django.urls import URLPattern, re_path
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apps.changes.access import ANYBODY, RolePermission, RoleView, actor_of_request, scope_of
from apps.core.django_api import RowsView, StrictSerializer, row_urls
from apps.identity import selectors, services
from apps.identity.authentication import TokenAuthentication
from apps.identity.domain import Actor, Role
from apps.identity.models import Group, Person, PersonalToken, Team

__all__ = ["TokenAuthentication", "actor", "urlpatterns"]

MOST_DAYS = 366
Row = TypeVar("Row", Group, Team)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library is untyped here
    """The token in the description of the API."""

    target_class = "apps.identity.authentication.TokenAuthentication"
    name = "personalToken"

    @override
    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """OpenAPI's words for a bearer token."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "sf-pat-…"}


def actor(request: Request) -> Actor:
    """Who sends the request; its id goes into the change log."""
    return actor_of_request(request)


class MeAnswer(serializers.Serializer[Any]):
    """The person who asks."""

    id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.EmailField()
    organisation_id = serializers.CharField()
    organisation_name = serializers.CharField(source="organisation.name")
    department = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    groups = serializers.SerializerMethodField()
    teams = serializers.SerializerMethodField()
    is_superuser = serializers.BooleanField()

    def get_groups(self, person: Person) -> list[str]:
        """Their names."""
        return sorted(group.name for group in person.groups.all())

    def get_teams(self, person: Person) -> list[str]:
        """Their names."""
        return sorted(team.name for team in person.teams.all())


class MeView(RoleView):
    """The person who asks."""

    roles = {"GET": ANYBODY}

    @extend_schema(responses=MeAnswer)
    def get(self, request: Request) -> Response:
        """Name, organisation and roles of whoever the credential stands for."""
        return Response(MeAnswer(request.user).data)


class TokenSerializer(StrictSerializer):
    """A token without its secret."""

    id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=200)
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=90, write_only=True)
    hint = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)
    last_used_at = serializers.DateTimeField(read_only=True)
    revoked_at = serializers.DateTimeField(read_only=True)


class TokensView(RowsView):
    """One's own tokens; made and revoked, never changed."""

    serializer_class = TokenSerializer
    permission_classes = [RolePermission]
    roles = {"GET": ANYBODY, "POST": ANYBODY, "DELETE": ANYBODY}
    kind = PersonalToken
    http_method_names = ["get", "post", "delete", "head", "options"]

    @override
    def rows(self, request: Request) -> QuerySet[PersonalToken]:
        """The person's own."""
        assert isinstance(request.user, Person)  # noqa: S101 - permission classes let nobody else in
        return selectors.tokens(request.user)

    @override
    def create(self, request: Request) -> Response:
        """201 with the secret in `token`, which is shown this once only."""
        values = self.checked(request)
        asking = request.auth
        row, secret = services.issue_token(
            actor=actor(request),
            person_id=str(request.user.pk),
            name=values["name"],
            days=values["days"],
            not_after=asking.expires_at if isinstance(asking, PersonalToken) else None,
        )
        return Response({**TokenSerializer(row).data, "token": secret}, status=status.HTTP_201_CREATED)

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Revoke it."""
        services.revoke_token(actor=actor(request), token_id=row_id)


class NamedSerializer(StrictSerializer):
    """A team or group."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    name = serializers.CharField(max_length=200)


class TeamsView(RowsView):
    """Teams of the organisation."""

    serializer_class = NamedSerializer
    permission_classes = [RolePermission]
    roles = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), (Role.ADMIN,))
    kind = Team

    @override
    def rows(self, request: Request) -> QuerySet[Team]:
        """The organisation's."""
        return selectors.teams(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Make one."""
        return services.create_team(actor=actor(request), name=values["name"]).pk

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Rename it."""
        if "name" in values:
            services.change_team(actor=actor(request), team_id=row_id, name=values["name"])

    @override
    def remove(self, request: Request, row_id: str) -> None:
        """Delete it."""
        services.delete_team(actor=actor(request), team_id=row_id)


class Members(serializers.ListField):
    """The ids of a person's groups or teams."""

    child = serializers.CharField(max_length=40)

    @override
    def to_representation(self, data: Any) -> list[str]:
        """The ids, in the order they were made in."""
        return sorted(row.pk for row in data.all())


class PersonSerializer(StrictSerializer):
    """A person; a password goes in and never comes out."""

    id = serializers.CharField(read_only=True)
    organisation_id = serializers.CharField(read_only=True)
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=200)
    department = serializers.CharField(max_length=200, allow_blank=True, default="")
    roles = serializers.ListField(child=serializers.ChoiceField([role.value for role in Role]), default=list)
    groups = Members(default=list)
    teams = Members(default=list)
    is_active = serializers.BooleanField(default=True)
    is_staff = serializers.BooleanField(default=False)
    password = serializers.CharField(write_only=True, required=False, max_length=200, trim_whitespace=False)

    def validate_groups(self, chosen: list[str]) -> list[Group]:
        """The groups, of the asker's own organisation."""
        return _found(selectors.groups(actor(self.context["request"]).organisation_id), chosen)

    def validate_teams(self, chosen: list[str]) -> list[Team]:
        """The teams, of the asker's own organisation."""
        return _found(selectors.teams(actor(self.context["request"]).organisation_id), chosen)


def _found(rows: QuerySet[Row], chosen: list[str]) -> list[Row]:
    """The rows of some ids; ValidationError names those that are not there."""
    found = {row.pk: row for row in rows.filter(pk__in=chosen)}
    if missing := [identifier for identifier in chosen if identifier not in found]:
        raise serializers.ValidationError(_("Not found: %(ids)s.") % {"ids": ", ".join(missing[:5])})
    return list(found.values())


class PeopleView(RowsView):
    """People of the organisation; they are closed, never deleted, because records name them."""

    serializer_class = PersonSerializer
    permission_classes = [RolePermission]
    roles = dict.fromkeys(("GET", "POST", "PATCH"), (Role.ADMIN,))
    kind = Person
    http_method_names = ["get", "post", "patch", "head", "options"]

    @override
    def rows(self, request: Request) -> QuerySet[Person]:
        """The organisation's."""
        return selectors.people(scope_of(request))

    @override
    def add(self, request: Request, values: dict[str, Any]) -> str:
        """Make one."""
        values.pop("is_active")
        return services.create_person(actor=actor(request), **values).pk

    @override
    def alter(self, request: Request, row_id: str, values: dict[str, Any]) -> None:
        """Change the person; roles and the password have entries of their own in the change log."""
        services.edit_person(actor=actor(request), person_id=row_id, **values)


urlpatterns: list[URLPattern] = [
    re_path(r"^me/?$", MeView.as_view(), name="me"),
    *row_urls("tokens", TokensView),
    *row_urls("teams", TeamsView),
    *row_urls("people", PeopleView),
]

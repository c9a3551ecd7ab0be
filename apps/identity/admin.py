# SPDX-License-Identifier: Apache-2.0
"""Organisations, people, teams, groups and tokens in the admin pages."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group as PermissionGroup
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.identity import services
from apps.identity.admin_scope import OrganisationAdmin
from apps.identity.domain import Bodies, Role
from apps.identity.models import Group, Organisation, Person, PersonalToken, Team
from apps.identity.signin import AdminSignInForm, OwnPasswordForm

admin.site.login_form = AdminSignInForm
if admin.site.is_registered(PermissionGroup):
    # Rights come from roles; groups of Django permissions would do nothing.
    admin.site.unregister(PermissionGroup)


class OwnPasswordView(PasswordChangeView):
    """The admin's page for one's own password; it stands before Django's, which knows no lock and no change log."""

    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    @override
    def get_form_kwargs(self) -> dict[str, Any]:
        """The form counts tries by address."""
        return {**super().get_form_kwargs(), "request": self.request}

    @override
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What every admin page shows."""
        return {**super().get_context_data(**kwargs), **admin.site.each_context(self.request)}


@admin.register(Organisation)
class OrganisationsAdmin(OrganisationAdmin[Organisation]):
    """One's own organisation; superusers make new ones."""

    view_roles = (Role.AUDITOR, Role.ENGINEER)
    edit_roles = (Role.ADMIN, Role.COMPLIANCE)
    can_delete = False
    list_display = ["name", "bodies", "demo", "created_at"]
    fields = ["name", "bodies"]

    @override
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return super().has_add_permission(request) and self.actor(request).is_superuser

    @override
    def perform_save(self, request: HttpRequest, obj: Organisation, form: Any, change: bool) -> Organisation:
        """Make or change it."""
        actor, name, bodies = (
            self.actor(request),
            form.cleaned_data["name"],
            Bodies(form.cleaned_data["bodies"]),
        )
        if not change:
            return services.create_organisation(actor=actor, name=name, bodies=bodies)
        return services.change_organisation_settings(
            actor=actor, organisation_id=obj.pk, name=name, bodies=bodies
        )


@admin.register(Team)
class TeamAdmin(OrganisationAdmin[Team]):
    """Teams."""

    view_roles = (Role.ENGINEER, Role.AUDITOR)
    edit_roles = (Role.ADMIN,)
    list_display = ["name"]
    search_fields = ["name"]

    @override
    def perform_save(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> Team:
        """Make or rename it."""
        if change:
            return services.change_team(actor=self.actor(request), team_id=obj.pk, name=obj.name)
        return services.create_team(actor=self.actor(request), name=obj.name)

    @override
    def perform_delete(self, request: HttpRequest, obj: Team) -> None:
        """Delete it."""
        services.delete_team(actor=self.actor(request), team_id=obj.pk)


@admin.register(Group)
class GroupAdmin(OrganisationAdmin[Group]):
    """Groups."""

    view_roles = (Role.ENGINEER, Role.AUDITOR)
    edit_roles = (Role.ADMIN,)
    list_display = ["name"]
    search_fields = ["name"]

    @override
    def perform_save(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> Group:
        """Make or rename it."""
        if change:
            return services.change_group(actor=self.actor(request), group_id=obj.pk, name=obj.name)
        return services.create_group(actor=self.actor(request), name=obj.name)

    @override
    def perform_delete(self, request: HttpRequest, obj: Group) -> None:
        """Delete it."""
        services.delete_group(actor=self.actor(request), group_id=obj.pk)


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """A person with roles to tick and a password to set."""

    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (Role.ADMIN.value, _("Administrator")), (Role.COMPLIANCE.value, _("Compliance officer")),
            (Role.ENGINEER.value, _("Platform engineer")), (Role.DEVELOPER.value, _("Developer")),
            (Role.APPROVER.value, _("Approver")), (Role.AUDITOR.value, _("Auditor")),
        ],
        help_text=_("Without a role a person is an employee: My access, Request a key and Playground."),
    )  # fmt: skip
    new_password = forms.CharField(
        label=_("New password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Leave empty to keep the present one. A new one ends the person's sessions."),
    )

    class Meta:
        model = Person
        fields = ["email", "name", "department", "roles", "groups", "teams", "is_active", "is_staff"]


@admin.register(Person)
class PersonAdmin(OrganisationAdmin[Person]):
    """People; they are closed, never deleted, because records name them."""

    view_roles = (Role.COMPLIANCE, Role.AUDITOR)
    edit_roles = (Role.ADMIN,)
    can_delete = False
    form = PersonForm
    list_display = ["name", "email", "department", "roles", "is_active", "last_login"]
    list_filter = ["is_active", "is_staff", "teams", "groups"]
    search_fields = ["name", "email", "department"]
    filter_horizontal = ["groups", "teams"]

    @override
    def perform_save(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> Person:
        """Make or change the person."""
        given = form.cleaned_data
        values = {name: given[name] for name in PersonForm.Meta.fields if name in given}
        password = given["new_password"] or None
        if change:
            return services.edit_person(
                actor=self.actor(request), person_id=obj.pk, password=password, **values
            )
        open_account = values.pop("is_active", True)
        person = services.create_person(actor=self.actor(request), password=password, **values)
        if not open_account:
            services.change_person(actor=self.actor(request), person_id=person.pk, is_active=False)
        return person


@admin.register(PersonalToken)
class PersonalTokenAdmin(OrganisationAdmin[PersonalToken]):
    """Tokens: people make their own; administrators see and revoke them."""

    view_roles = (Role.ADMIN, Role.AUDITOR)
    list_display = ["name", "person", "hint", "created_at", "expires_at", "last_used_at", "revoked_at"]
    list_filter = ["person"]
    search_fields = ["name", "person__name", "person__email"]
    fields = ["name", "person", "hint", "created_at", "expires_at", "last_used_at", "revoked_at"]
    readonly_fields = ["name", "person", "hint", "created_at", "expires_at", "last_used_at", "revoked_at"]
    actions = ["revoke"]

    @admin.action(description=_("Revoke the chosen tokens"))
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        """End them now."""
        for token in queryset:
            services.revoke_token(actor=self.actor(request), token_id=token.pk)

# SPDX-License-Identifier: Apache-2.0
"""The page that edits one policy row, and the versions of policies to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.identity.domain import Role
from apps.policies import services
from apps.policies.forms import SCOPE_LABELS, PolicyForm
from apps.policies.models import PolicyRow, PolicyVersion

READERS = (Role.ENGINEER, Role.AUDITOR)
_SCOPE = tuple(f"scope__{name}" for name in SCOPE_LABELS)
_KINDS = tuple(name for name in PolicyForm.base_fields if "__" in name and name not in _SCOPE)


@admin.register(PolicyRow)
class PolicyAdmin(OrganisationAdmin[PolicyRow]):
    """Policies of the organisation."""

    form = PolicyForm
    view_roles = READERS
    edit_roles = services.WRITERS
    list_display = ("name", "action", "enabled", "version")
    list_filter = ("action", "enabled")
    search_fields = ("name",)
    readonly_fields = ("version",)
    fieldsets = (
        (None, {"fields": ("name", "enabled", "version")}),
        (_("Looks for"), {"fields": (*_KINDS, "phases")}),
        (_("Then"), {"fields": ("action", "fail_closed")}),
        (_("Whose exchanges"), {"fields": _SCOPE, "classes": ("collapse",)}),
    )

    @override
    def get_fieldsets(self, request: HttpRequest, obj: PolicyRow | None = None) -> Any:
        """The form for those who may edit; the row as it is stored for those who may look."""
        if self.has_change_permission(request, obj):
            return self.fieldsets
        names = ("name", "enabled", "version", "detectors", "phases", "action", "fail_closed", "scope")
        return ((None, {"fields": names}),)

    @override
    def perform_save(self, request: HttpRequest, obj: PolicyRow, form: Any, change: bool) -> PolicyRow:
        """Write by the service."""
        names = ("name", "enabled", "phases", "action", "detectors", "scope", "fail_closed")
        values = {name: form.cleaned_data[name] for name in names}
        if change:
            return services.change_policy(actor=self.actor(request), policy_id=obj.id, **values)
        return services.create_policy(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: PolicyRow) -> None:
        """Delete by the service."""
        services.delete_policy(actor=self.actor(request), policy_id=obj.id)


@admin.register(PolicyVersion)
class PolicyVersionAdmin(OrganisationAdmin[PolicyVersion]):
    """Versions of policies; nobody edits them."""

    view_roles = (*READERS, *services.WRITERS)
    can_add = False
    can_delete = False
    list_display = ("policy_id", "number", "author_name", "at", "reason")
    search_fields = ("policy_id", "author_name")
    readonly_fields = ("policy_id", "number", "content", "author_name", "reason", "at")

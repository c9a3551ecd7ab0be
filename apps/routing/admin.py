# SPDX-License-Identifier: Apache-2.0
"""Admin pages of targets."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.identity.domain import Role
from apps.routing import services
from apps.routing.models import Target


@admin.register(Target)
class TargetAdmin(OrganisationAdmin[Target]):
    """Targets of the organisation, in the order of their models."""

    view_roles = (Role.COMPLIANCE, Role.AUDITOR)
    edit_roles = services.WRITERS
    fields = ("name", "model", "provider", "upstream_model", "rank", "drained")
    list_display = ("name", "model", "provider", "upstream_model", "rank", "drained")
    list_filter = ("model", "provider", "drained")
    list_select_related = ("model", "provider")
    search_fields = ("name", "upstream_model")
    ordering = ("model__name", "rank", "id")
    actions = ("drain", "undrain")

    @override
    def perform_save(self, request: HttpRequest, obj: Target, form: Any, change: bool) -> Target:
        """Write by the service."""
        chosen = form.cleaned_data
        values = {name: chosen[name] for name in ("name", "upstream_model", "rank", "drained")}
        values |= {"model_id": chosen["model"].id, "provider_id": chosen["provider"].id}
        if change:
            return services.change_target(actor=self.actor(request), target_id=obj.id, **values)
        return services.create_target(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: Target) -> None:
        """Delete by the service."""
        services.delete_target(actor=self.actor(request), target_id=obj.id)

    @admin.action(description=_("Drain the chosen targets"), permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Give them no new requests."""
        for target in queryset:
            services.drain_target(actor=self.actor(request), target_id=target.id)

    @admin.action(description=_("Use the chosen targets again"), permissions=["change"])
    def undrain(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Give them requests again."""
        for target in queryset:
            services.undrain_target(actor=self.actor(request), target_id=target.id)

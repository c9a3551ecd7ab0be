# SPDX-License-Identifier: Apache-2.0
"""Admin pages of aliases of models."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.changes.domain import Role
from apps.providers import services, services_aliases
from apps.providers.models import ModelAlias


@admin.register(ModelAlias)
class ModelAliasAdmin(OrganisationAdmin[ModelAlias]):
    """Aliases of the organisation."""

    view_roles = (Role.COMPLIANCE, Role.AUDITOR)
    edit_roles = services.WRITERS
    fields = ("name", "model")
    list_display = ("name", "model")
    list_filter = ("model",)
    list_select_related = ("model",)
    search_fields = ("name",)

    @override
    def perform_save(self, request: HttpRequest, obj: ModelAlias, form: Any, change: bool) -> ModelAlias:
        """Write by the service."""
        values = {"name": form.cleaned_data["name"], "model_id": form.cleaned_data["model"].id}
        if change:
            return services_aliases.change_alias(actor=self.actor(request), alias_id=obj.id, **values)
        return services_aliases.create_alias(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: ModelAlias) -> None:
        """Delete by the service."""
        services_aliases.delete_alias(actor=self.actor(request), alias_id=obj.id)

# SPDX-License-Identifier: Apache-2.0
"""Admin pages of prices that operators set, and of corrections, which can only be read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.changes.domain import Role
from apps.providers import services, services_prices
from apps.providers.models import PriceCorrection, PriceOverride

READERS = (Role.COMPLIANCE, Role.AUDITOR)


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A price with its dates."""

    class Meta:
        model = PriceOverride
        fields = ("model", "starts_at", "ends_at", "prices", "margin")


@admin.register(PriceOverride)
class PriceAdmin(OrganisationAdmin[PriceOverride]):
    """Prices of the organisation."""

    form = PriceForm
    view_roles = READERS
    edit_roles = services.WRITERS
    list_display = ("__str__", "starts_at", "ends_at", "margin", "revision")
    list_filter = ("model",)
    readonly_fields = ("revision",)

    @override
    def perform_save(
        self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool
    ) -> PriceOverride:
        """Write by the service."""
        values = {name: form.cleaned_data[name] for name in PriceForm.Meta.fields}
        model = values.pop("model")
        values["model_id"] = None if model is None else model.id
        if change:
            return services_prices.change_price(actor=self.actor(request), price_id=obj.id, **values)
        return services_prices.create_price(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: PriceOverride) -> None:
        """Delete by the service."""
        services_prices.delete_price(actor=self.actor(request), price_id=obj.id)


@admin.register(PriceCorrection)
class PriceCorrectionAdmin(OrganisationAdmin[PriceCorrection]):
    """Records that were priced again."""

    view_roles = (*READERS, *services.WRITERS)
    can_add = False
    can_delete = False
    list_display = ("record_id", "model_name", "cost_before", "cost_after", "reason", "actor_name", "at")
    search_fields = ("record_id", "model_name")

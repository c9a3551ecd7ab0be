# SPDX-License-Identifier: Apache-2.0
"""Admin pages of providers and models; a credential can be typed, never read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.identity.domain import Role
from apps.providers import services
from apps.providers.admin_aliases import ModelAliasAdmin as ModelAliasAdmin
from apps.providers.admin_prices import PriceAdmin as PriceAdmin
from apps.providers.admin_prices import PriceCorrectionAdmin as PriceCorrectionAdmin
from apps.providers.domain import DIALECTS, LOCAL
from apps.providers.models import Model, Provider
from apps.providers.vendors import VENDORS

READERS = (Role.COMPLIANCE, Role.AUDITOR)


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider with a field for a new credential."""

    vendor = forms.ChoiceField(
        label=_("Vendor"),
        required=False,
        choices=[("", _("Another one")), *((vendor.id, vendor.name) for vendor in VENDORS.values())],
        help_text=_("Fills in the dialect and the address where you leave them empty."),
    )
    dialect = forms.ChoiceField(
        label=_("Dialect"),
        required=False,
        choices=[("", _("The vendor's")), *((name, name) for name in (*DIALECTS, LOCAL))],
    )
    base_url = forms.CharField(
        label=_("Address"),
        required=False,
        max_length=500,
        help_text=_(
            "For example https://api.example.com/v1. Left empty, the vendor's; what is local has none."
        ),
    )
    new_credential = forms.CharField(
        label=_("New credential"),
        required=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Stored sealed and never shown. Left empty, the stored one stays."),
    )
    no_credential = forms.BooleanField(label=_("Remove the stored credential"), required=False)

    class Meta:
        model = Provider
        fields = (
            "name",
            "vendor",
            "dialect",
            "base_url",
            "connect_seconds",
            "answer_seconds",
            "silence_seconds",
            "verify_tls",
            "pass_price",
            "enabled",
        )


@admin.register(Provider)
class ProviderAdmin(OrganisationAdmin[Provider]):
    """Providers of the organisation."""

    form = ProviderForm
    view_roles = READERS
    edit_roles = services.WRITERS
    list_display = ("name", "vendor", "dialect", "base_url", "has_credential", "enabled")
    list_filter = ("dialect", "enabled")
    search_fields = ("name", "base_url")
    readonly_fields = ("has_credential", "pass_price_version")

    @admin.display(description=_("credential stored"), boolean=True)
    def has_credential(self, obj: Provider) -> bool:
        """Whether a credential is stored."""
        return bool(obj.credential)

    @override
    def perform_save(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> Provider:
        """Write by the service."""
        values = {name: form.cleaned_data[name] for name in ProviderForm.Meta.fields}
        credential = form.cleaned_data["new_credential"]
        if credential or form.cleaned_data["no_credential"]:
            values["credential"] = credential
        if change:
            return services.change_provider(actor=self.actor(request), provider_id=obj.id, **values)
        return services.create_provider(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: Provider) -> None:
        """Delete by the service."""
        services.delete_provider(actor=self.actor(request), provider_id=obj.id)


class ModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model with its rates."""

    kind = forms.ChoiceField(label=_("kind"), choices=[(name, name) for name in services.KINDS])

    class Meta:
        model = Model
        fields = (
            "name",
            "kind",
            "output_cap",
            "context",
            "input_rate",
            "output_rate",
            "cached_rate",
            "request_rate",
            "catalogue_provider",
            "catalogue_model",
            "default",
            "enabled",
        )


@admin.register(Model)
class ModelAdmin(OrganisationAdmin[Model]):
    """Models of the organisation."""

    form = ModelForm
    view_roles = READERS
    edit_roles = services.WRITERS
    list_display = ("name", "kind", "input_rate", "output_rate", "price_version", "default", "enabled")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    readonly_fields = ("price_version",)

    @override
    def perform_save(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> Model:
        """Write by the service."""
        values = {name: form.cleaned_data[name] for name in ModelForm.Meta.fields}
        if change:
            return services.change_model(actor=self.actor(request), model_id=obj.id, **values)
        return services.create_model(actor=self.actor(request), **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: Model) -> None:
        """Delete by the service."""
        services.delete_model(actor=self.actor(request), model_id=obj.id)

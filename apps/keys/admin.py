# SPDX-License-Identifier: Apache-2.0
"""Admin pages of virtual keys and budgets; a key's secret is said once, when it is issued."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.core import money
from apps.identity.domain import Role
from apps.keys import services
from apps.keys.models import BudgetRow, Node, VirtualKey

READERS = (Role.COMPLIANCE, Role.AUDITOR)


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key; models as one name or pattern per line."""

    models = forms.CharField(
        label=_("models"),
        required=False,
        initial="*",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One name or pattern such as gpt-* per line; * allows all, nothing allows none."),
    )

    passthrough = forms.CharField(
        label=_("may pass through"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One provider and path such as openai/files/* per line; nothing allows none."),
    )

    class Meta:
        model = VirtualKey
        fields = (
            "name",
            "team",
            "person",
            "expires_at",
            "enabled",
            "requests_per_minute",
            "requests_at_once",
            "assumed_output_tokens",
            "may_assert_person",
            "may_override_route",
            "budgets",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row = kwargs.get("instance")
        if row is not None:
            lines = {"models": "\n".join(row.allowed_models), "passthrough": "\n".join(row.passthrough)}
            kwargs["initial"] = {**(kwargs.get("initial") or {}), **lines}
        super().__init__(*args, **kwargs)


@admin.register(VirtualKey)
class KeyAdmin(OrganisationAdmin[VirtualKey]):
    """Virtual keys of the organisation."""

    form = KeyForm
    view_roles = READERS
    edit_roles = services.WRITERS
    list_display = ("name", "hint", "owner", "team", "models", "requests_per_minute", "expires_at", "enabled")
    list_filter = ("team", "enabled")
    list_select_related = ("team", "person")
    search_fields = ("name", "hint", "person__name", "team__name")
    readonly_fields = ("hint",)
    filter_horizontal = ("budgets",)
    actions = ("disable", "enable")

    @admin.display(description=_("owner"), ordering="person__name")
    def owner(self, obj: VirtualKey) -> str:
        """The person, or that an application uses the key."""
        return obj.person.name if obj.person else gettext("an application")

    @admin.display(description=_("models"))
    def models(self, obj: VirtualKey) -> str:
        """The patterns in one line."""
        return ", ".join(obj.allowed_models) or gettext("none")

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The hint comes with the key; there is none before."""
        names = list(KeyForm.Meta.fields)
        names.insert(3, "models")
        names.insert(-1, "passthrough")
        return ["hint", *names] if obj else names

    @override
    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only budgets that count for chosen keys can be chosen."""
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.name == "budgets":
            field.queryset = field.queryset.filter(node=Node.KEY)
        return field

    @override
    def perform_save(self, request: HttpRequest, obj: VirtualKey, form: Any, change: bool) -> VirtualKey:
        """Write by the service; a new key's secret is said once."""
        values = {
            **{name: form.cleaned_data[name] for name in KeyForm.Meta.fields},
            "team_id": form.cleaned_data["team"].id,
            "person_id": form.cleaned_data["person"].id if form.cleaned_data["person"] else None,
            "budget_ids": [budget.id for budget in form.cleaned_data["budgets"]],
            "allowed_models": [line for line in form.cleaned_data["models"].splitlines() if line.strip()],
            "passthrough": [line for line in form.cleaned_data["passthrough"].splitlines() if line.strip()],
        }
        for name in ("team", "person", "budgets"):
            del values[name]
        if change:
            return services.change_key(actor=self.actor(request), key_id=obj.id, **values)
        key, secret = services.issue_key(actor=self.actor(request), **values)
        said = gettext("The key of %(name)s is %(secret)s. Copy it now: it is not shown again.")
        self.message_user(request, said % {"name": key.name, "secret": secret}, messages.WARNING)
        return key

    @override
    def perform_delete(self, request: HttpRequest, obj: VirtualKey) -> None:
        """Delete by the service."""
        services.delete_key(actor=self.actor(request), key_id=obj.id)

    @admin.action(description=_("Disable the chosen keys"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Refuse them from now on."""
        for key in queryset:
            services.disable_key(actor=self.actor(request), key_id=key.id)

    @admin.action(description=_("Enable the chosen keys"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Accept them again."""
        for key in queryset:
            services.enable_key(actor=self.actor(request), key_id=key.id)


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A budget with its limit in dollars."""

    limit = forms.DecimalField(
        label=_("limit in dollars"),
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(1_000_000_000),
        decimal_places=6,
        help_text=_("Empty: it counts only."),
    )

    class Meta:
        model = BudgetRow
        fields = ("name", "node", "team", "window", "zone", "hard")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row = kwargs.get("instance")
        if row is not None and row.limit_micro is not None:
            kwargs["initial"] = {**(kwargs.get("initial") or {}), "limit": money.dollars(row.limit_micro)}
        super().__init__(*args, **kwargs)


@admin.register(BudgetRow)
class BudgetAdmin(OrganisationAdmin[BudgetRow]):
    """Budgets of the organisation."""

    form = BudgetForm
    view_roles = READERS
    edit_roles = services.WRITERS
    fields = ("name", "node", "team", "window", "zone", "limit", "hard")
    list_display = ("name", "node", "team", "window", "zone", "dollars", "hard")
    list_filter = ("node", "window", "hard")
    list_select_related = ("team",)
    search_fields = ("name",)

    @admin.display(description=_("limit in dollars"), ordering="limit_micro")
    def dollars(self, obj: BudgetRow) -> str:
        """The limit, or that there is none."""
        return gettext("none") if obj.limit_micro is None else money.text(money.dollars(obj.limit_micro))

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a budget counts for is fixed once it counts."""
        return ("node", "team") if obj else ()

    @override
    def perform_save(self, request: HttpRequest, obj: BudgetRow, form: Any, change: bool) -> BudgetRow:
        """Write by the service."""
        chosen = form.cleaned_data
        values = {name: chosen[name] for name in ("name", "window", "zone", "hard")}
        values["limit_micro"] = None if chosen["limit"] is None else money.charge(chosen["limit"])
        if change:
            return services.change_budget(actor=self.actor(request), budget_id=obj.id, **values)
        team = chosen["team"].id if chosen["team"] else None
        return services.create_budget(actor=self.actor(request), node=chosen["node"], team_id=team, **values)

    @override
    def perform_delete(self, request: HttpRequest, obj: BudgetRow) -> None:
        """Delete by the service."""
        services.delete_budget(actor=self.actor(request), budget_id=obj.id)

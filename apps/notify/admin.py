# SPDX-License-Identifier: Apache-2.0
"""Webhooks in the admin pages, and what was sent to them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.changes.domain import Role
from apps.notify import services
from apps.notify.models import Delivery, Webhook


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """A webhook with its events typed one a line."""

    events = forms.CharField(
        label=_("Events"),
        initial="*",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One a line: approval.requested, or approval.* for a whole room, or * for everything."),
    )

    class Meta:
        model = Webhook
        fields = ["name", "url", "events", "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["events"] = "\n".join(self.instance.events)

    def clean_events(self) -> list[str]:
        """The names, checked by the service."""
        return [line.strip() for line in str(self.cleaned_data["events"]).splitlines() if line.strip()]


@admin.register(Webhook)
class WebhookAdmin(OrganisationAdmin[Webhook]):
    """Where the organisation is told of events."""

    edit_roles = (Role.ADMIN,)
    form = WebhookForm
    list_display = ["name", "url", "events", "enabled", "created_at"]
    search_fields = ["name", "url"]
    actions = ["rotate"]

    @override
    def perform_save(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> Webhook:
        """Make or change it; a new one's secret is shown once."""
        values = {name: form.cleaned_data[name] for name in WebhookForm.Meta.fields}
        if change:
            return services.change_webhook(actor=self.actor(request), webhook_id=obj.pk, **values)
        row, secret = services.create_webhook(actor=self.actor(request), **values)
        self._show(request, row, secret)
        return row

    @override
    def perform_delete(self, request: HttpRequest, obj: Webhook) -> None:
        """Delete it and its deliveries."""
        services.delete_webhook(actor=self.actor(request), webhook_id=obj.pk)

    @admin.action(description=_("Give the chosen webhooks new secrets"))
    def rotate(self, request: HttpRequest, queryset: Any) -> None:
        """Each new secret is shown once."""
        for webhook in queryset:
            row, secret = services.rotate_webhook_secret(actor=self.actor(request), webhook_id=webhook.pk)
            self._show(request, row, secret)

    def _show(self, request: HttpRequest, row: Webhook, secret: str) -> None:
        said = _now("The secret of %(name)s, shown this once only: %(secret)s")
        self.message_user(request, said % {"name": row.name, "secret": secret}, messages.WARNING)


@admin.register(Delivery)
class DeliveryAdmin(OrganisationAdmin[Delivery]):
    """What was sent and what came of it."""

    view_roles = (Role.ADMIN, Role.ENGINEER)
    list_display = ["notice", "webhook", "state", "attempts", "next_at", "status", "fault"]
    list_filter = ["state", "webhook"]
    readonly_fields = ["notice", "webhook", "state", "attempts", "next_at", "status", "fault", "finished_at"]
    actions = ["retry"]

    @admin.action(description=_("Try the chosen deliveries again"))
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        """Those that were given up wait again."""
        for delivery in queryset:
            services.retry_delivery(actor=self.actor(request), delivery_id=delivery.pk)

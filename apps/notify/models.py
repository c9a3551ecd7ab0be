# SPDX-License-Identifier: Apache-2.0
"""Notices, webhooks and deliveries."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock
from apps.core.tenancy import OrganisationRow
from apps.notify.domain import DeliveryState


class Notice(OrganisationRow):
    """Something that happened, told once to some people and to everybody with some roles."""

    KIND = "ntf"

    event = models.CharField(_("event"), max_length=64)
    dedupe_key = models.CharField(max_length=200)
    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("text"), blank=True, default="")
    link = models.CharField(_("link"), max_length=500, blank=True, default="")
    people = models.JSONField(_("people"), default=list)
    roles = models.JSONField(_("roles"), default=list)
    data = models.JSONField(_("data"), default=dict)
    created_at = models.DateTimeField(_("when"), default=clock.now)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["organisation_id", "dedupe_key"], name="notify_once"),
        ]
        indexes = [models.Index(fields=["organisation_id", "-id"], name="notify_newest")]

    @override
    def __str__(self) -> str:
        return self.title


class NoticeRead(models.Model):
    """One person has read one notice."""

    organisation_id = models.CharField(max_length=40, db_index=True)
    notice = models.ForeignKey("notify.Notice", on_delete=models.CASCADE, related_name="reads")
    person_id = models.CharField(max_length=40)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = _("read notice")
        verbose_name_plural = _("read notices")
        constraints = [models.UniqueConstraint(fields=["notice", "person_id"], name="notify_read_once")]

    @override
    def __str__(self) -> str:
        return f"{self.person_id} {self.notice_id}"


class Webhook(OrganisationRow):
    """Where an organisation wants to be told of events."""

    KIND = "hook"

    name = models.CharField(_("name"), max_length=200)
    url = models.CharField(_("URL"), max_length=1000)
    secret = models.BinaryField(editable=False)
    events = models.JSONField(
        _("events"), default=list, help_text=_("Names such as approval.requested, or approval.*, or *.")
    )
    enabled = models.BooleanField(_("switched on"), default=True)
    created_at = models.DateTimeField(_("made"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organisation_id", "name"], name="notify_webhook_name"),
        ]

    @override
    def __str__(self) -> str:
        return self.name


class Delivery(OrganisationRow):
    """One notice on its way to one webhook."""

    KIND = "dlv"
    STATES = [
        (DeliveryState.WAITING.value, _("Waiting")),
        (DeliveryState.DELIVERED.value, _("Delivered")),
        (DeliveryState.FAILED.value, _("Given up")),
    ]

    webhook = models.ForeignKey("notify.Webhook", on_delete=models.CASCADE, related_name="deliveries")
    notice = models.ForeignKey("notify.Notice", on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(_("state"), max_length=16, choices=STATES, default=DeliveryState.WAITING.value)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_at = models.DateTimeField(_("next attempt"), default=clock.now)
    status = models.PositiveIntegerField(_("last status"), null=True, blank=True)
    fault = models.CharField(_("last fault"), max_length=300, blank=True, default="")
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["webhook", "notice"], name="notify_deliver_once")]
        indexes = [
            models.Index(
                fields=["next_at"], name="notify_due", condition=models.Q(state=DeliveryState.WAITING.value)
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.notice_id} → {self.webhook_id}"

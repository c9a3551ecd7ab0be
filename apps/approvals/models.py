# SPDX-License-Identifier: Apache-2.0
"""Approval requests; the database itself holds the rule of four eyes."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.approvals.domain import State
from apps.core import clock
from apps.core.tenancy import OrganisationRow


class ApprovalRequest(OrganisationRow):
    """One person asks, another decides, or time does."""

    KIND = "apr"
    STATES = [
        (State.PENDING.value, _("Waiting")),
        (State.APPROVED.value, _("Approved")),
        (State.DENIED.value, _("Denied")),
        (State.EXPIRED.value, _("Expired")),
    ]

    subject_kind = models.CharField(_("kind of subject"), max_length=40)
    subject_id = models.CharField(_("subject id"), max_length=64)
    subject_name = models.CharField(_("subject"), max_length=200)
    digest = models.CharField(
        _("digest"), max_length=64, blank=True, default="", help_text=_("What exactly is asked for.")
    )
    purpose = models.TextField(_("purpose"), blank=True, default="")
    limits = models.JSONField(_("limits"), default=dict, blank=True)
    requested_by = models.CharField(_("asked by (id)"), max_length=40)
    requested_by_name = models.CharField(_("asked by"), max_length=200)
    requested_at = models.DateTimeField(_("asked"), default=clock.now)
    expires_at = models.DateTimeField(_("expires"))
    state = models.CharField(_("state"), max_length=16, choices=STATES, default=State.PENDING.value)
    decided_by = models.CharField(_("decided by (id)"), max_length=40, null=True, blank=True)
    decided_by_name = models.CharField(_("decided by"), max_length=200, blank=True, default="")
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.TextField(_("reason"), blank=True, default="")

    class Meta:
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by=None) | ~Q(decided_by=F("requested_by")), name="approvals_four_eyes"
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["approved", "denied"], decided_by__isnull=False, decided_at__isnull=False
                )
                | Q(state__in=["pending", "expired"], decided_by=None),
                name="approvals_decided",
            ),
            models.UniqueConstraint(
                fields=["organisation_id", "subject_kind", "subject_id", "digest"],
                condition=Q(state="pending"),
                name="approvals_one_pending",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation_id", "state", "-id"], name="approvals_queue"),
            models.Index(fields=["organisation_id", "requested_by", "-id"], name="approvals_mine"),
            models.Index(fields=["expires_at"], name="approvals_due", condition=Q(state="pending")),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.subject_name} ({self.requested_by_name})"

# SPDX-License-Identifier: Apache-2.0
"""Rows of this room: what reconciliation found."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock


class Difference(models.Model):
    """A spend counter and the records disagreed; nothing was changed because of it."""

    organisation_id = models.CharField(_("organisation"), max_length=40)
    budget_id = models.CharField(_("budget"), max_length=40)
    window_start = models.DateTimeField(_("window"))
    counted = models.BigIntegerField(_("counter, micro-dollars"))
    recorded = models.BigIntegerField(_("records, micro-dollars"))
    at = models.DateTimeField(_("when"), default=clock.now)

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        ordering = ["-id"]
        indexes = [models.Index(fields=["organisation_id", "-id"], name="analytics_difference_newest")]

    @override
    def __str__(self) -> str:
        return f"{self.budget_id}: {self.counted - self.recorded}"

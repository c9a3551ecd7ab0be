# SPDX-License-Identifier: Apache-2.0
"""Rows of targets; private to this room."""

from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core.tenancy import OrganisationRow

MOST_RANK = 10_000


class Target(OrganisationRow):
    """One way to reach a model; the lowest rank that is not drained goes first."""

    KIND: ClassVar[str] = "tgt"

    name = models.CharField(_("name"), max_length=80)
    model = models.ForeignKey(
        "providers.Model", on_delete=models.PROTECT, related_name="+", verbose_name=_("model")
    )
    provider = models.ForeignKey(
        "providers.Provider", on_delete=models.PROTECT, related_name="+", verbose_name=_("provider")
    )
    upstream_model = models.CharField(_("the provider's name for the model"), max_length=200)
    rank = models.PositiveIntegerField(
        _("rank"), default=0, validators=[MaxValueValidator(MOST_RANK)], help_text=_("The lowest goes first.")
    )
    drained = models.BooleanField(
        _("drained"), default=False, help_text=_("A drained target gets no new requests.")
    )

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ("rank", "name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="routing_target_name",
                violation_error_code="unique",
                violation_error_message=_("A target of this name exists."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name

# SPDX-License-Identifier: Apache-2.0
"""Rows of providers and models; private to this room."""

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import limits
from apps.core.tenancy import OrganisationRow
from apps.providers.domain import DEFAULT_OUTPUT_CAP

_SECONDS = [MinValueValidator(0.1), MaxValueValidator(3600)]
_RATE: dict[str, Any] = {"max_digits": 18, "decimal_places": 9, "validators": [MinValueValidator(0)]}


class Provider(OrganisationRow):
    """Where models are reached; `credential` is sealed, and only the publisher hands it on."""

    KIND: ClassVar[str] = "prv"

    name = models.CharField(_("name"), max_length=80)
    dialect = models.CharField(_("dialect"), max_length=20, default="openai")
    base_url = models.CharField(
        _("address"), max_length=500, help_text=_("For example https://api.example.com/v1")
    )
    credential = models.BinaryField(_("credential"), default=b"", blank=True, editable=False)
    connect_seconds = models.FloatField(
        _("seconds to connect"), default=limits.CONNECT_SECONDS, validators=_SECONDS
    )
    answer_seconds = models.FloatField(
        _("seconds for a whole answer"), default=limits.ANSWER_SECONDS, validators=_SECONDS
    )
    silence_seconds = models.FloatField(
        _("seconds of silence in a stream"), default=limits.SILENCE_SECONDS, validators=_SECONDS
    )
    verify_tls = models.BooleanField(_("check certificates"), default=True)
    private_allowed = models.BooleanField(_("may be in a private network"), default=False, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="providers_provider_name",
                violation_error_code="unique",
                violation_error_message=_("A provider of this name exists."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name


class Model(OrganisationRow):
    """A model under the name that clients send, with what its tokens cost in dollars per million."""

    KIND: ClassVar[str] = "mdl"

    name = models.CharField(_("public name"), max_length=120, help_text=_("What clients send as `model`."))
    kind = models.CharField(_("kind"), max_length=20, default="chat")
    output_cap = models.PositiveIntegerField(
        _("most output tokens"), default=DEFAULT_OUTPUT_CAP, validators=[MinValueValidator(1)]
    )
    context = models.PositiveIntegerField(
        _("context in tokens"), default=0, help_text=_("0 means that it is not known.")
    )
    input_rate = models.DecimalField(_("dollars per million input tokens"), null=True, blank=True, **_RATE)
    output_rate = models.DecimalField(_("dollars per million output tokens"), null=True, blank=True, **_RATE)
    cached_rate = models.DecimalField(
        _("dollars per million cached input tokens"), null=True, blank=True, **_RATE
    )
    request_rate = models.DecimalField(_("dollars per request"), default=0, **_RATE)
    price_version = models.PositiveIntegerField(_("version of the rates"), default=0, editable=False)
    default = models.BooleanField(_("default"), default=False, help_text=_("Listed first to clients."))
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="providers_model_name",
                violation_error_code="unique",
                violation_error_message=_("A model of this name exists."),
            ),
            models.UniqueConstraint(
                fields=("organisation_id",),
                condition=Q(default=True),
                name="providers_model_default",
                violation_error_code="unique",
                violation_error_message=_("Another model became the default at this moment."),
            ),
            models.CheckConstraint(
                condition=Q(input_rate__isnull=True, output_rate__isnull=True, cached_rate__isnull=True)
                | Q(input_rate__isnull=False, output_rate__isnull=False),
                name="providers_model_rates",
                violation_error_message=_("Input and output rates are set together, or neither is."),
            ),
            models.CheckConstraint(
                condition=Q(context=0) | Q(output_cap__lte=F("context")),
                name="providers_model_output_cap",
                violation_error_message=_("The most output tokens cannot exceed the context."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name

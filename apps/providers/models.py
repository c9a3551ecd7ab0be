# SPDX-License-Identifier: Apache-2.0
"""Rows of providers and models; private to this room."""

from typing import Any, ClassVar, NoReturn

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock, limits
from apps.core.tenancy import OrganisationRow
from apps.providers.domain import DEFAULT_OUTPUT_CAP

_SECONDS = [MinValueValidator(0.1), MaxValueValidator(3600)]
_RATE: dict[str, Any] = {"max_digits": 18, "decimal_places": 9, "validators": [MinValueValidator(0)]}


class Provider(OrganisationRow):
    """Where models are reached; `credential` is sealed, and only the publisher hands it on."""

    KIND: ClassVar[str] = "prv"

    name = models.CharField(_("name"), max_length=80)
    vendor = models.CharField(_("vendor"), max_length=40, default="", blank=True)
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
    pass_price = models.DecimalField(
        _("dollars per passed request"),
        null=True,
        blank=True,
        help_text=_(
            "What a request to /v1/passthrough costs. Left empty, keys with a hard budget are refused there."
        ),
        **_RATE,
    )
    pass_price_version = models.PositiveIntegerField(_("version of that price"), default=0, editable=False)
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
    catalogue_provider = models.CharField(
        _("provider in the price catalogue"),
        max_length=80,
        default="",
        blank=True,
        help_text=_("Whose published prices count while the fields above are empty, for example openai."),
    )
    catalogue_model = models.CharField(
        _("model in the price catalogue"), max_length=200, default="", blank=True
    )
    catalogue_digest = models.CharField(
        _("catalogue last published from"), max_length=40, default="", blank=True, editable=False
    )
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


class ModelAlias(OrganisationRow):
    """Another name that clients may send for a model; what a key allows goes by the model's own name."""

    KIND: ClassVar[str] = "als"

    name = models.CharField(
        _("alias"), max_length=120, help_text=_("What clients may send as `model` instead.")
    )
    model = models.ForeignKey(
        "providers.Model", on_delete=models.PROTECT, related_name="+", verbose_name=_("model")
    )

    class Meta:
        verbose_name = _("model alias")
        verbose_name_plural = _("model aliases")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="providers_alias_name",
                violation_error_code="unique",
                violation_error_message=_("An alias of this name exists."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name


class PriceOverride(OrganisationRow):
    """What the operator says a model costs for a time, or what is added to the prices of all models."""

    KIND: ClassVar[str] = "prc"

    model = models.ForeignKey(
        "providers.Model",
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("model"),
        help_text=_("Left empty, it counts for all models, and only a margin can be set."),
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("Left empty, there is no end.")
    )
    prices = models.JSONField(
        _("prices"),
        null=True,
        blank=True,
        help_text=_("Dollars per million tokens as text. Left empty, the usual prices stay."),
    )
    margin = models.DecimalField(
        _("margin in percent"),
        max_digits=9,
        decimal_places=4,
        default=0,
        validators=[MinValueValidator(-100), MaxValueValidator(10_000)],
        help_text=_("Added to the prices; below zero it is a discount."),
    )
    revision = models.PositiveIntegerField(_("revision"), default=1, editable=False)

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ("-starts_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="providers_price_range",
                violation_error_message=_("A price ends after it begins."),
            ),
            models.CheckConstraint(
                condition=Q(model__isnull=False) | Q(prices=None),
                name="providers_price_model",
                violation_error_message=_(
                    "Prices are set for one model; for all of them only a margin can be."
                ),
            ),
        )

    @override
    def __str__(self) -> str:
        name = _("all models") if self.model is None else self.model.name
        return f"{name} {self.starts_at:%Y-%m-%d}"


class PriceCorrection(OrganisationRow):
    """A record was priced again; the record stays as it is, and these are only ever added."""

    KIND: ClassVar[str] = "prx"

    record_id = models.CharField(_("record"), max_length=40)
    recorded_at = models.DateTimeField(_("when the record was made"))
    model_name = models.TextField(_("model"))
    cost_before = models.DecimalField(_("dollars before"), max_digits=40, decimal_places=20)
    cost_after = models.DecimalField(_("dollars after"), max_digits=40, decimal_places=20)
    version_before = models.CharField(_("prices before"), max_length=300)
    version_after = models.CharField(_("prices after"), max_length=300)
    reason = models.TextField(_("reason"))
    actor_id = models.CharField(_("actor id"), max_length=40)
    actor_name = models.CharField(_("actor"), max_length=200)
    at = models.DateTimeField(_("when"), default=clock.now)

    class Meta:
        verbose_name = _("price correction")
        verbose_name_plural = _("price corrections")
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["organisation_id", "record_id"], name="providers_correction_record"),
            models.Index(fields=["organisation_id", "recorded_at"], name="providers_correction_moment"),
        ]

    @override
    def __str__(self) -> str:
        return self.record_id

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row; nothing alters it later."""
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    @override
    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Refused."""
        raise TypeError("A price correction is never removed.")

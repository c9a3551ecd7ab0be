# SPDX-License-Identifier: Apache-2.0
"""Rows of virtual keys and budgets; private to this room."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core.tenancy import OrganisationRow
from apps.keys.domain import Window

MOST_REQUESTS = 10_000_000
_COUNT = [MinValueValidator(1), MaxValueValidator(MOST_REQUESTS)]


def every_model() -> list[str]:
    """The pattern that allows all models."""
    return ["*"]


class Node(models.TextChoices):
    """What a budget counts for."""

    ORGANISATION = "organisation", _("the whole organisation")
    TEAM = "team", _("one team")
    KEY = "key", _("chosen keys")


WINDOWS = [
    (Window.DAY.value, _("every day")),
    (Window.WEEK.value, _("every week")),
    (Window.MONTH.value, _("every month")),
    (Window.LIFETIME.value, _("never")),
]


class BudgetRow(OrganisationRow):
    """A limit of spending per window; without a limit it counts only."""

    KIND: ClassVar[str] = "bgt"

    name = models.CharField(_("name"), max_length=80)
    node = models.CharField(_("counts for"), max_length=12, choices=Node.choices, default=Node.KEY)
    team = models.ForeignKey(
        "identity.Team",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("team"),
    )
    window = models.CharField(_("begins anew"), max_length=8, choices=WINDOWS, default=Window.MONTH.value)
    zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    limit_micro = models.BigIntegerField(
        _("limit in micro-dollars"), null=True, blank=True, validators=[MinValueValidator(0)]
    )
    hard = models.BooleanField(
        _("hard"), default=True, help_text=_("A hard budget refuses requests; a soft one only counts.")
    )

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="keys_budget_name",
                violation_error_code="unique",
                violation_error_message=_("A budget of this name exists."),
            ),
            models.CheckConstraint(
                condition=Q(node="team", team__isnull=False) | (~Q(node="team") & Q(team__isnull=True)),
                name="keys_budget_team",
                violation_error_message=_("A team is named exactly when the budget counts for one team."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name


class VirtualKey(OrganisationRow):
    """A key of a team or a person; only the keyed digest of its secret is kept."""

    KIND: ClassVar[str] = "key"

    name = models.CharField(_("name"), max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("key"), max_length=24, editable=False)
    team = models.ForeignKey(
        "identity.Team", on_delete=models.PROTECT, related_name="+", verbose_name=_("team")
    )
    # A person with keys cannot be removed: a cascade would leave their published copies alive.
    person = models.ForeignKey(
        "identity.Person",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owner"),
        help_text=_("Empty for a key that an application uses."),
    )
    allowed_models = models.JSONField(
        _("models"), default=every_model, blank=True, help_text=_("Names or patterns such as gpt-*.")
    )
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=_COUNT
    )
    requests_at_once = models.PositiveIntegerField(
        _("requests at once"), null=True, blank=True, validators=_COUNT
    )
    assumed_output_tokens = models.PositiveIntegerField(
        _("output tokens assumed"),
        null=True,
        blank=True,
        validators=_COUNT,
        help_text=_("Reserved, and sent as the limit, where a request names none."),
    )
    passthrough = models.JSONField(
        _("may pass through"),
        default=list,
        blank=True,
        help_text=_("Providers and paths such as openai/responses or openai/files/*; nothing allows none."),
    )
    may_assert_person = models.BooleanField(_("may name the person"), default=False)
    may_override_route = models.BooleanField(_("may choose the route"), default=False)
    budgets = models.ManyToManyField(BudgetRow, blank=True, related_name="keys", verbose_name=_("budgets"))
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        verbose_name = _("virtual key")
        verbose_name_plural = _("virtual keys")
        ordering = ("name", "id")

    @override
    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

# SPDX-License-Identifier: Apache-2.0
"""The first tables of this room."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import apps.keys.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("identity", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BudgetRow",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "node",
                    models.CharField(
                        choices=[
                            ("organisation", "the whole organisation"),
                            ("team", "one team"),
                            ("key", "chosen keys"),
                        ],
                        default="key",
                        max_length=12,
                        verbose_name="counts for",
                    ),
                ),
                (
                    "window",
                    models.CharField(
                        choices=[
                            ("day", "every day"),
                            ("week", "every week"),
                            ("month", "every month"),
                            ("lifetime", "never"),
                        ],
                        default="month",
                        max_length=8,
                        verbose_name="begins anew",
                    ),
                ),
                ("zone", models.CharField(default="UTC", max_length=64, verbose_name="time zone")),
                (
                    "limit_micro",
                    models.BigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="limit in micro-dollars",
                    ),
                ),
                (
                    "hard",
                    models.BooleanField(
                        default=True,
                        help_text="A hard budget refuses requests; a soft one only counts.",
                        verbose_name="hard",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.team",
                        verbose_name="team",
                    ),
                ),
            ],
            options={
                "verbose_name": "budget",
                "verbose_name_plural": "budgets",
                "ordering": ("name", "id"),
            },
        ),
        migrations.CreateModel(
            name="VirtualKey",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("hint", models.CharField(editable=False, max_length=24, verbose_name="key")),
                (
                    "allowed_models",
                    models.JSONField(
                        blank=True,
                        default=apps.keys.models.every_model,
                        help_text="Names or patterns such as gpt-*.",
                        verbose_name="models",
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="ends")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "requests_per_minute",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000000),
                        ],
                        verbose_name="requests per minute",
                    ),
                ),
                (
                    "requests_at_once",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000000),
                        ],
                        verbose_name="requests at once",
                    ),
                ),
                (
                    "assumed_output_tokens",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Reserved, and sent as the limit, where a request names none.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000000),
                        ],
                        verbose_name="output tokens assumed",
                    ),
                ),
                ("may_assert_person", models.BooleanField(default=False, verbose_name="may name the person")),
                (
                    "may_override_route",
                    models.BooleanField(default=False, verbose_name="may choose the route"),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "budgets",
                    models.ManyToManyField(
                        blank=True, related_name="keys", to="keys.budgetrow", verbose_name="budgets"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for a key that an application uses.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.team",
                        verbose_name="team",
                    ),
                ),
            ],
            options={
                "verbose_name": "virtual key",
                "verbose_name_plural": "virtual keys",
                "ordering": ("name", "id"),
            },
        ),
        migrations.AddConstraint(
            model_name="budgetrow",
            constraint=models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="keys_budget_name",
                violation_error_code="unique",
                violation_error_message="A budget of this name exists.",
            ),
        ),
        migrations.AddConstraint(
            model_name="budgetrow",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("node", "team"), ("team__isnull", False)),
                    models.Q(models.Q(("node", "team"), _negated=True), ("team__isnull", True)),
                    _connector="OR",
                ),
                name="keys_budget_team",
                violation_error_message="A team is named exactly when the budget counts for one team.",
            ),
        ),
    ]

# SPDX-License-Identifier: Apache-2.0
"""The first tables of this room."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Model",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                (
                    "name",
                    models.CharField(
                        help_text="What clients send as `model`.", max_length=120, verbose_name="public name"
                    ),
                ),
                ("kind", models.CharField(default="chat", max_length=20, verbose_name="kind")),
                (
                    "output_cap",
                    models.PositiveIntegerField(
                        default=4096,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="most output tokens",
                    ),
                ),
                (
                    "context",
                    models.PositiveIntegerField(
                        default=0, help_text="0 means that it is not known.", verbose_name="context in tokens"
                    ),
                ),
                (
                    "input_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=9,
                        max_digits=18,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="dollars per million input tokens",
                    ),
                ),
                (
                    "output_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=9,
                        max_digits=18,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="dollars per million output tokens",
                    ),
                ),
                (
                    "cached_rate",
                    models.DecimalField(
                        blank=True,
                        decimal_places=9,
                        max_digits=18,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="dollars per million cached input tokens",
                    ),
                ),
                (
                    "request_rate",
                    models.DecimalField(
                        decimal_places=9,
                        default=0,
                        max_digits=18,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="dollars per request",
                    ),
                ),
                (
                    "price_version",
                    models.PositiveIntegerField(
                        default=0, editable=False, verbose_name="version of the rates"
                    ),
                ),
                (
                    "default",
                    models.BooleanField(
                        default=False, help_text="Listed first to clients.", verbose_name="default"
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
            ],
            options={
                "verbose_name": "model",
                "verbose_name_plural": "models",
                "ordering": ("name", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation_id", "name"),
                        name="providers_model_name",
                        violation_error_code="unique",
                        violation_error_message="A model of this name exists.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("default", True)),
                        fields=("organisation_id",),
                        name="providers_model_default",
                        violation_error_code="unique",
                        violation_error_message="Another model became the default at this moment.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("cached_rate__isnull", True),
                                ("input_rate__isnull", True),
                                ("output_rate__isnull", True),
                            ),
                            models.Q(("input_rate__isnull", False), ("output_rate__isnull", False)),
                            _connector="OR",
                        ),
                        name="providers_model_rates",
                        violation_error_message="Input and output rates are set together, or neither is.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("context", 0), ("output_cap__lte", models.F("context")), _connector="OR"
                        ),
                        name="providers_model_output_cap",
                        violation_error_message="The most output tokens cannot exceed the context.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Provider",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("dialect", models.CharField(default="openai", max_length=20, verbose_name="dialect")),
                (
                    "base_url",
                    models.CharField(
                        help_text="For example https://api.example.com/v1",
                        max_length=500,
                        verbose_name="address",
                    ),
                ),
                ("credential", models.BinaryField(blank=True, default=b"", verbose_name="credential")),
                (
                    "connect_seconds",
                    models.FloatField(
                        default=5.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                        verbose_name="seconds to connect",
                    ),
                ),
                (
                    "answer_seconds",
                    models.FloatField(
                        default=600.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                        verbose_name="seconds for a whole answer",
                    ),
                ),
                (
                    "silence_seconds",
                    models.FloatField(
                        default=120.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                        verbose_name="seconds of silence in a stream",
                    ),
                ),
                ("verify_tls", models.BooleanField(default=True, verbose_name="check certificates")),
                (
                    "private_allowed",
                    models.BooleanField(
                        default=False, editable=False, verbose_name="may be in a private network"
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
            ],
            options={
                "verbose_name": "provider",
                "verbose_name_plural": "providers",
                "ordering": ("name", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation_id", "name"),
                        name="providers_provider_name",
                        violation_error_code="unique",
                        violation_error_message="A provider of this name exists.",
                    )
                ],
            },
        ),
    ]

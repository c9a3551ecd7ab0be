# SPDX-License-Identifier: Apache-2.0
"""Prices from the catalogue, what overrides them, and corrections of records."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="model",
            name="catalogue_digest",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                max_length=40,
                verbose_name="catalogue last published from",
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="catalogue_model",
            field=models.CharField(
                blank=True, default="", max_length=200, verbose_name="model in the price catalogue"
            ),
        ),
        migrations.AddField(
            model_name="model",
            name="catalogue_provider",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whose published prices count while the fields above are empty, for example openai.",
                max_length=80,
                verbose_name="provider in the price catalogue",
            ),
        ),
        migrations.CreateModel(
            name="PriceCorrection",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("record_id", models.CharField(max_length=40, verbose_name="record")),
                ("recorded_at", models.DateTimeField(verbose_name="when the record was made")),
                ("model_name", models.TextField(verbose_name="model")),
                (
                    "cost_before",
                    models.DecimalField(decimal_places=20, max_digits=40, verbose_name="dollars before"),
                ),
                (
                    "cost_after",
                    models.DecimalField(decimal_places=20, max_digits=40, verbose_name="dollars after"),
                ),
                ("version_before", models.CharField(max_length=300, verbose_name="prices before")),
                ("version_after", models.CharField(max_length=300, verbose_name="prices after")),
                ("reason", models.TextField(verbose_name="reason")),
                ("actor_id", models.CharField(max_length=40, verbose_name="actor id")),
                ("actor_name", models.CharField(max_length=200, verbose_name="actor")),
                ("at", models.DateTimeField(default=apps.core.clock.now, verbose_name="when")),
            ],
            options={
                "verbose_name": "price correction",
                "verbose_name_plural": "price corrections",
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["organisation_id", "record_id"], name="providers_correction_record"),
                    models.Index(
                        fields=["organisation_id", "recorded_at"], name="providers_correction_moment"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PriceOverride",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True, help_text="Left empty, there is no end.", null=True, verbose_name="until"
                    ),
                ),
                (
                    "prices",
                    models.JSONField(
                        blank=True,
                        help_text="Dollars per million tokens as text. Left empty, the usual prices stay.",
                        null=True,
                        verbose_name="prices",
                    ),
                ),
                (
                    "margin",
                    models.DecimalField(
                        decimal_places=4,
                        default=0,
                        help_text="Added to the prices; below zero it is a discount.",
                        max_digits=9,
                        validators=[
                            django.core.validators.MinValueValidator(-100),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                        verbose_name="margin in percent",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=1, editable=False, verbose_name="revision")),
                (
                    "model",
                    models.ForeignKey(
                        blank=True,
                        help_text="Left empty, it counts for all models, and only a margin can be set.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="providers.model",
                        verbose_name="model",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ("-starts_at", "-id"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"
                        ),
                        name="providers_price_range",
                        violation_error_message="A price ends after it begins.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("model__isnull", False), ("prices", None), _connector="OR"),
                        name="providers_price_model",
                        violation_error_message="Prices are set for one model; for all of them only a margin can be.",
                    ),
                ],
            },
        ),
    ]

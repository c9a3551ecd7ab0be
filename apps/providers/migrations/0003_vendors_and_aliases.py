# SPDX-License-Identifier: Apache-2.0
"""Whose endpoint a provider is, and other names for models."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0002_prices"),
    ]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="vendor",
            field=models.CharField(blank=True, default="", max_length=40, verbose_name="vendor"),
        ),
        migrations.CreateModel(
            name="ModelAlias",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                (
                    "name",
                    models.CharField(
                        help_text="What clients may send as `model` instead.",
                        max_length=120,
                        verbose_name="alias",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="providers.model",
                        verbose_name="model",
                    ),
                ),
            ],
            options={
                "verbose_name": "model alias",
                "verbose_name_plural": "model aliases",
                "ordering": ("name", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation_id", "name"),
                        name="providers_alias_name",
                        violation_error_code="unique",
                        violation_error_message="An alias of this name exists.",
                    )
                ],
            },
        ),
    ]

# SPDX-License-Identifier: Apache-2.0
"""The first tables of this room."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("providers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Target",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "upstream_model",
                    models.CharField(max_length=200, verbose_name="the provider's name for the model"),
                ),
                (
                    "rank",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="The lowest goes first.",
                        validators=[django.core.validators.MaxValueValidator(10000)],
                        verbose_name="rank",
                    ),
                ),
                (
                    "drained",
                    models.BooleanField(
                        default=False,
                        help_text="A drained target gets no new requests.",
                        verbose_name="drained",
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
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="providers.provider",
                        verbose_name="provider",
                    ),
                ),
            ],
            options={
                "verbose_name": "target",
                "verbose_name_plural": "targets",
                "ordering": ("rank", "name", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation_id", "name"),
                        name="routing_target_name",
                        violation_error_code="unique",
                        violation_error_message="A target of this name exists.",
                    )
                ],
            },
        ),
    ]

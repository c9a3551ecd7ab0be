# SPDX-License-Identifier: Apache-2.0
"""What reconciliation found."""

from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Difference",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("organisation_id", models.CharField(max_length=40, verbose_name="organisation")),
                ("budget_id", models.CharField(max_length=40, verbose_name="budget")),
                ("window_start", models.DateTimeField(verbose_name="window")),
                ("counted", models.BigIntegerField(verbose_name="counter, micro-dollars")),
                ("recorded", models.BigIntegerField(verbose_name="records, micro-dollars")),
                ("at", models.DateTimeField(default=apps.core.clock.now, verbose_name="when")),
            ],
            options={
                "verbose_name": "difference",
                "verbose_name_plural": "differences",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["organisation_id", "-id"], name="analytics_difference_newest")
                ],
            },
        ),
    ]

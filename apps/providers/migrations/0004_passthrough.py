# SPDX-License-Identifier: Apache-2.0
"""What a request costs that is passed through."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0003_vendors_and_aliases"),
    ]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="pass_price",
            field=models.DecimalField(
                blank=True,
                decimal_places=9,
                help_text="What a request to /v1/passthrough costs. Left empty, keys with a hard budget are refused there.",
                max_digits=18,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="dollars per passed request",
            ),
        ),
        migrations.AddField(
            model_name="provider",
            name="pass_price_version",
            field=models.PositiveIntegerField(
                default=0, editable=False, verbose_name="version of that price"
            ),
        ),
    ]

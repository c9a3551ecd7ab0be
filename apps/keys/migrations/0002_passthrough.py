# SPDX-License-Identifier: Apache-2.0
"""Which paths of providers a key may pass through to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="virtualkey",
            name="passthrough",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Providers and paths such as openai/responses or openai/files/*; nothing allows none.",
                verbose_name="may pass through",
            ),
        ),
    ]

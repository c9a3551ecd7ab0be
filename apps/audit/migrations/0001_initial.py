# SPDX-License-Identifier: Apache-2.0
"""Tables around records: journals, open exchanges, counters, corrections, reveals."""

import django.contrib.postgres.fields
from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="BodyRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "ts", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("ts", models.DateTimeField()),
                ("id", models.CharField(max_length=40)),
                ("organisation_id", models.CharField(max_length=40)),
                ("subject", models.TextField()),
                ("prompt", models.BinaryField()),
                ("answer", models.BinaryField()),
                ("redacted", models.BooleanField()),
            ],
            options={
                "verbose_name": "body",
                "verbose_name_plural": "bodies",
                "db_table": "audit_body",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RecordRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "ts", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("ts", models.DateTimeField()),
                ("id", models.CharField(max_length=40)),
                ("organisation_id", models.CharField(max_length=40)),
                ("state", models.CharField(max_length=16)),
                ("key_id", models.CharField(max_length=40)),
                ("key_name", models.TextField()),
                ("person_id", models.CharField(max_length=40)),
                ("person_name", models.TextField()),
                ("team_id", models.CharField(max_length=40)),
                ("team_name", models.TextField()),
                ("model", models.TextField()),
                ("target", models.TextField()),
                ("provider", models.TextField()),
                ("path", models.TextField()),
                ("verdict", models.CharField(max_length=16)),
                ("status", models.IntegerField()),
                ("error_code", models.CharField(max_length=64)),
                ("stream", models.BooleanField()),
                ("cache_hit", models.CharField(max_length=32)),
                ("session_id", models.TextField()),
                ("bundle", models.TextField()),
                ("cost", models.DecimalField(decimal_places=20, max_digits=40)),
                ("charged", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                ("total_us", models.BigIntegerField()),
                ("overhead_us", models.BigIntegerField()),
                (
                    "budget_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                ),
                ("accounted_at", models.DateTimeField()),
                ("lease", models.CharField(max_length=40)),
                ("position", models.BigIntegerField()),
                ("demo", models.BooleanField()),
                ("body_stored", models.BooleanField()),
                ("data", models.JSONField()),
            ],
            options={
                "verbose_name": "record",
                "verbose_name_plural": "records",
                "db_table": "audit_record",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="OpenLine",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(max_length=40)),
                ("lease", models.CharField(db_index=True, max_length=40)),
                ("data", models.JSONField()),
            ],
            options={
                "verbose_name": "open exchange",
                "verbose_name_plural": "open exchanges",
                "db_table": "audit_open",
            },
        ),
        migrations.CreateModel(
            name="Shipped",
            fields=[
                (
                    "lease",
                    models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="lease"),
                ),
                ("position", models.BigIntegerField(default=0, verbose_name="bytes shipped")),
                ("behind", models.BigIntegerField(default=0, verbose_name="bytes not yet shipped")),
                ("set_aside", models.IntegerField(default=0, verbose_name="lines set aside")),
                ("seen_at", models.DateTimeField(default=apps.core.clock.now, verbose_name="last seen")),
                ("closed_at", models.DateTimeField(null=True, verbose_name="finished")),
            ],
            options={
                "verbose_name": "journal",
                "verbose_name_plural": "journals",
                "db_table": "audit_shipped",
            },
        ),
        migrations.CreateModel(
            name="Spend",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organisation_id",
                        "budget_id",
                        "bucket",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organisation_id", models.CharField(max_length=40)),
                ("budget_id", models.TextField()),
                ("bucket", models.DateTimeField()),
                ("charged", models.BigIntegerField(default=0)),
                ("records", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "spend",
                "verbose_name_plural": "spend",
                "db_table": "audit_spend",
            },
        ),
        migrations.CreateModel(
            name="Total",
            fields=[
                ("organisation_id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("records", models.BigIntegerField(default=0)),
                ("tokens", models.BigIntegerField(default=0)),
                ("charged", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "all-time counter",
                "verbose_name_plural": "all-time counters",
                "db_table": "audit_total",
            },
        ),
        migrations.CreateModel(
            name="Correction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("organisation_id", models.CharField(max_length=40)),
                ("record_id", models.CharField(max_length=40, unique=True)),
                (
                    "budget_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                ),
                ("accounted_at", models.DateTimeField()),
                ("charged_before", models.BigIntegerField()),
                ("charged_after", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("applied_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "correction",
                "verbose_name_plural": "corrections",
                "db_table": "audit_correction",
                "indexes": [
                    models.Index(
                        condition=models.Q(("applied_at", None)), fields=["id"], name="audit_unapplied"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Reveal",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("record_id", models.CharField(max_length=40, verbose_name="record")),
                ("actor_id", models.CharField(max_length=40, verbose_name="actor id")),
                ("actor_name", models.CharField(max_length=200, verbose_name="actor")),
                ("reason", models.TextField(verbose_name="reason")),
                ("had_body", models.BooleanField(verbose_name="a body was stored")),
                ("at", models.DateTimeField(default=apps.core.clock.now, verbose_name="when")),
            ],
            options={
                "verbose_name": "reveal",
                "verbose_name_plural": "reveals",
                "indexes": [
                    models.Index(fields=["organisation_id", "record_id"], name="audit_reveal_record")
                ],
            },
        ),
    ]

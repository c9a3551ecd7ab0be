# SPDX-License-Identifier: Apache-2.0
"""Notices, webhooks and deliveries."""

import django.db.models.deletion
from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("event", models.CharField(max_length=64, verbose_name="event")),
                ("dedupe_key", models.CharField(max_length=200)),
                ("title", models.CharField(max_length=200, verbose_name="title")),
                ("text", models.TextField(blank=True, default="", verbose_name="text")),
                ("link", models.CharField(blank=True, default="", max_length=500, verbose_name="link")),
                ("people", models.JSONField(default=list, verbose_name="people")),
                ("roles", models.JSONField(default=list, verbose_name="roles")),
                ("data", models.JSONField(default=dict, verbose_name="data")),
                ("created_at", models.DateTimeField(default=apps.core.clock.now, verbose_name="when")),
            ],
            options={
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["organisation_id", "-id"], name="notify_newest")],
                "constraints": [
                    models.UniqueConstraint(fields=("organisation_id", "dedupe_key"), name="notify_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("url", models.CharField(max_length=1000, verbose_name="URL")),
                ("secret", models.BinaryField()),
                (
                    "events",
                    models.JSONField(
                        default=list,
                        help_text="Names such as approval.requested, or approval.*, or *.",
                        verbose_name="events",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="switched on")),
                (
                    "created_at",
                    models.DateTimeField(default=apps.core.clock.now, editable=False, verbose_name="made"),
                ),
            ],
            options={
                "verbose_name": "webhook",
                "verbose_name_plural": "webhooks",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("organisation_id", "name"), name="notify_webhook_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="NoticeRead",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("organisation_id", models.CharField(db_index=True, max_length=40)),
                ("person_id", models.CharField(max_length=40)),
                ("at", models.DateTimeField(default=apps.core.clock.now)),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="reads", to="notify.notice"
                    ),
                ),
            ],
            options={
                "verbose_name": "read notice",
                "verbose_name_plural": "read notices",
                "constraints": [
                    models.UniqueConstraint(fields=("notice", "person_id"), name="notify_read_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Given up")],
                        default="waiting",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                ("next_at", models.DateTimeField(default=apps.core.clock.now, verbose_name="next attempt")),
                ("status", models.PositiveIntegerField(null=True, blank=True, verbose_name="last status")),
                (
                    "fault",
                    models.CharField(blank=True, default="", max_length=300, verbose_name="last fault"),
                ),
                ("finished_at", models.DateTimeField(null=True, blank=True, verbose_name="finished")),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="notify.notice",
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="notify.webhook",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")), fields=["next_at"], name="notify_due"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("webhook", "notice"), name="notify_deliver_once")
                ],
            },
        ),
    ]

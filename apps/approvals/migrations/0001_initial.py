# SPDX-License-Identifier: Apache-2.0
"""Approval requests and the rules that the database holds."""

from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ApprovalRequest",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("subject_kind", models.CharField(max_length=40, verbose_name="kind of subject")),
                ("subject_id", models.CharField(max_length=64, verbose_name="subject id")),
                ("subject_name", models.CharField(max_length=200, verbose_name="subject")),
                (
                    "digest",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What exactly is asked for.",
                        max_length=64,
                        verbose_name="digest",
                    ),
                ),
                ("purpose", models.TextField(blank=True, default="", verbose_name="purpose")),
                ("limits", models.JSONField(blank=True, default=dict, verbose_name="limits")),
                ("requested_by", models.CharField(max_length=40, verbose_name="asked by (id)")),
                ("requested_by_name", models.CharField(max_length=200, verbose_name="asked by")),
                ("requested_at", models.DateTimeField(default=apps.core.clock.now, verbose_name="asked")),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Waiting"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("expired", "Expired"),
                        ],
                        default="pending",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                (
                    "decided_by",
                    models.CharField(max_length=40, null=True, blank=True, verbose_name="decided by (id)"),
                ),
                (
                    "decided_by_name",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="decided by"),
                ),
                ("decided_at", models.DateTimeField(null=True, blank=True, verbose_name="decided")),
                ("reason", models.TextField(blank=True, default="", verbose_name="reason")),
            ],
            options={
                "verbose_name": "approval request",
                "verbose_name_plural": "approval requests",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["organisation_id", "state", "-id"], name="approvals_queue"),
                    models.Index(fields=["organisation_id", "requested_by", "-id"], name="approvals_mine"),
                    models.Index(
                        condition=models.Q(("state", "pending")), fields=["expires_at"], name="approvals_due"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decided_by", None),
                            models.Q(("decided_by", models.F("requested_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="approvals_four_eyes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("decided_at__isnull", False),
                                ("decided_by__isnull", False),
                                ("state__in", ["approved", "denied"]),
                            ),
                            models.Q(("decided_by", None), ("state__in", ["pending", "expired"])),
                            _connector="OR",
                        ),
                        name="approvals_decided",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "pending")),
                        fields=("organisation_id", "subject_kind", "subject_id", "digest"),
                        name="approvals_one_pending",
                    ),
                ],
            },
        ),
    ]

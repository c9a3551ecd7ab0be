# SPDX-License-Identifier: Apache-2.0
"""Policies, and their versions, which only grow."""

from django.db import migrations, models

import apps.core.clock

# The application role may write this table; only the trigger makes it one that grows and never alters.
APPEND_ONLY = """
CREATE FUNCTION policies_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of policies only grow: one cannot be altered or removed';
END $$;
CREATE TRIGGER policies_append_only BEFORE UPDATE OR DELETE ON policies_policyversion
    FOR EACH STATEMENT EXECUTE FUNCTION policies_append_only();
"""
NO_LONGER = (
    "DROP TRIGGER policies_append_only ON policies_policyversion; DROP FUNCTION policies_append_only();"
)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="PolicyRow",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("version", models.PositiveIntegerField(default=0, editable=False, verbose_name="version")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("phases", models.JSONField(default=list, verbose_name="looks at")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("block", "Block"),
                            ("redact", "Replace what is found"),
                            ("log", "Only record"),
                        ],
                        default="block",
                        max_length=16,
                        verbose_name="what it does",
                    ),
                ),
                ("detectors", models.JSONField(default=list, verbose_name="looks for")),
                ("scope", models.JSONField(blank=True, default=dict, verbose_name="whose exchanges")),
                (
                    "fail_closed",
                    models.BooleanField(
                        default=True,
                        help_text="Otherwise the text passes unchecked, and the record says so.",
                        verbose_name="stop when it cannot be checked",
                    ),
                ),
            ],
            options={
                "verbose_name": "policy",
                "verbose_name_plural": "policies",
                "ordering": ("name", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation_id", "name"),
                        name="policies_policy_name",
                        violation_error_code="unique",
                        violation_error_message="A policy of this name exists.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyVersion",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("policy_id", models.CharField(editable=False, max_length=40, verbose_name="policy id")),
                ("number", models.PositiveIntegerField(editable=False, verbose_name="number")),
                ("content", models.JSONField(editable=False, verbose_name="content")),
                ("author_id", models.CharField(editable=False, max_length=40, verbose_name="author id")),
                ("author_name", models.CharField(editable=False, max_length=200, verbose_name="author")),
                ("reason", models.TextField(blank=True, default="", editable=False, verbose_name="reason")),
                (
                    "at",
                    models.DateTimeField(default=apps.core.clock.now, editable=False, verbose_name="when"),
                ),
            ],
            options={
                "verbose_name": "version of a policy",
                "verbose_name_plural": "versions of policies",
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(fields=("policy_id", "number"), name="policies_version_number")
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, NO_LONGER),
    ]

# SPDX-License-Identifier: Apache-2.0
"""The change log, append-only, and the outbox."""

from django.db import migrations, models

import apps.core.clock

# The application role may write this table; only the trigger makes it one that grows and never alters.
APPEND_ONLY = """
CREATE FUNCTION changes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the change log only grows: an entry cannot be altered or removed';
END $$;
CREATE TRIGGER changes_append_only BEFORE UPDATE OR DELETE ON changes_change
    FOR EACH STATEMENT EXECUTE FUNCTION changes_append_only();
"""
NO_LONGER = "DROP TRIGGER changes_append_only ON changes_change; DROP FUNCTION changes_append_only();"


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("actor_id", models.CharField(max_length=40, verbose_name="actor id")),
                ("actor_name", models.CharField(max_length=200, verbose_name="actor")),
                ("actor_kind", models.CharField(max_length=16, verbose_name="kind of actor")),
                ("verb", models.CharField(max_length=64, verbose_name="what was done")),
                ("subject_id", models.CharField(max_length=64, verbose_name="subject id")),
                ("subject_name", models.CharField(max_length=200, verbose_name="subject")),
                ("subject_type", models.CharField(max_length=40, verbose_name="kind of subject")),
                ("before", models.JSONField(null=True, verbose_name="before")),
                ("after", models.JSONField(null=True, verbose_name="after")),
                ("reason", models.TextField(blank=True, default="", verbose_name="reason")),
                (
                    "request_id",
                    models.CharField(blank=True, default="", max_length=64, verbose_name="request id"),
                ),
                ("at", models.DateTimeField(default=apps.core.clock.now, verbose_name="when")),
            ],
            options={
                "verbose_name": "change",
                "verbose_name_plural": "changes",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["organisation_id", "-id"], name="changes_newest"),
                    models.Index(fields=["organisation_id", "subject_id", "-id"], name="changes_subject"),
                    models.Index(fields=["organisation_id", "actor_id", "-id"], name="changes_actor"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Outbox",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("room", models.CharField(max_length=40)),
                ("organisation_id", models.CharField(max_length=40)),
                ("subject_id", models.CharField(max_length=40)),
                ("digest", models.CharField(blank=True, default="", max_length=64)),
                ("gone", models.BinaryField(null=True)),
                ("created", models.DateTimeField(default=apps.core.clock.now)),
                ("published_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "unpublished edit",
                "verbose_name_plural": "unpublished edits",
                "indexes": [
                    models.Index(
                        condition=models.Q(("published_at", None)), fields=["id"], name="changes_unpublished"
                    ),
                    models.Index(fields=["published_at"], name="changes_published"),
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, NO_LONGER),
    ]

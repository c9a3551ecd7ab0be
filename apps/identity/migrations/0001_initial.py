# SPDX-License-Identifier: Apache-2.0
"""Organisations, people and their tokens."""

import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import apps.core.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Organisation",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=200, unique=True, verbose_name="name")),
                (
                    "bodies",
                    models.CharField(
                        choices=[("off", "Off"), ("redacted", "Redacted"), ("full", "Full")],
                        default="off",
                        help_text="What is kept of prompts and answers: nothing, redacted text, or all of it, sealed.",
                        max_length=16,
                        verbose_name="prompts and answers",
                    ),
                ),
                ("demo", models.BooleanField(default=False, editable=False, verbose_name="demonstration")),
                (
                    "created_at",
                    models.DateTimeField(default=apps.core.clock.now, editable=False, verbose_name="made"),
                ),
            ],
            options={
                "verbose_name": "organisation",
                "verbose_name_plural": "organisations",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="SignInFailure",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("started_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name": "failed sign-in",
                "verbose_name_plural": "failed sign-ins",
            },
        ),
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
            ],
            options={
                "verbose_name": "group",
                "verbose_name_plural": "groups",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("organisation_id", "name"), name="identity_group_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254, unique=True, verbose_name="e-mail address")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "department",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="department"),
                ),
                ("roles", models.JSONField(blank=True, default=list, verbose_name="roles")),
                ("is_active", models.BooleanField(default=True, verbose_name="may sign in")),
                ("is_staff", models.BooleanField(default=False, verbose_name="may open the admin pages")),
                ("is_superuser", models.BooleanField(default=False, verbose_name="sees all organisations")),
                (
                    "created_at",
                    models.DateTimeField(default=apps.core.clock.now, editable=False, verbose_name="made"),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True, related_name="people", to="identity.group", verbose_name="groups"
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="people",
                        to="identity.organisation",
                        verbose_name="organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "person",
                "verbose_name_plural": "people",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="PersonalToken",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("hint", models.CharField(max_length=8, verbose_name="ends in")),
                ("created_at", models.DateTimeField(default=apps.core.clock.now, verbose_name="made")),
                ("expires_at", models.DateTimeField(verbose_name="ends")),
                ("last_used_at", models.DateTimeField(null=True, blank=True, verbose_name="last used")),
                ("revoked_at", models.DateTimeField(null=True, blank=True, verbose_name="revoked")),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tokens",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "personal token",
                "verbose_name_plural": "personal tokens",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.CharField(editable=False, max_length=40, primary_key=True, serialize=False)),
                ("organisation_id", models.CharField(db_index=True, editable=False, max_length=40)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
            ],
            options={
                "verbose_name": "team",
                "verbose_name_plural": "teams",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("organisation_id", "name"), name="identity_team_name")
                ],
            },
        ),
        migrations.AddField(
            model_name="person",
            name="teams",
            field=models.ManyToManyField(
                blank=True, related_name="people", to="identity.team", verbose_name="teams"
            ),
        ),
        migrations.AddConstraint(
            model_name="person",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                name="identity_email_lower",
            ),
        ),
    ]

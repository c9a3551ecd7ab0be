# SPDX-License-Identifier: Apache-2.0
"""The change log in the admin pages: to look at only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from typing_extensions import override

from apps.changes.admin_scope import OrganisationAdmin
from apps.changes.domain import Role
from apps.changes.models import Change


@admin.register(Change)
class ChangeAdmin(OrganisationAdmin[Change]):
    """Who changed what; nobody edits it here or anywhere."""

    view_roles = (Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR, Role.ENGINEER)
    list_display = ["at", "actor_name", "verb", "subject_type", "subject_name", "reason"]
    list_filter = ["subject_type", "verb", "actor_kind"]
    search_fields = ["actor_name", "subject_name", "subject_id", "reason"]
    date_hierarchy = "at"
    show_full_result_count = False

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All of them."""
        return [field.name for field in self.opts.fields]

# SPDX-License-Identifier: Apache-2.0
"""Approval requests in the admin pages: to look at; deciding has a page and an address of its own."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from typing_extensions import override

from apps.approvals.models import ApprovalRequest
from apps.approvals.selectors import READERS
from apps.identity.admin_scope import OrganisationAdmin


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(OrganisationAdmin[ApprovalRequest]):
    """Who asked for what, and who decided."""

    view_roles = READERS
    list_display = [
        "subject_name",
        "subject_kind",
        "requested_by_name",
        "state",
        "decided_by_name",
        "expires_at",
    ]
    list_filter = ["state", "subject_kind"]
    search_fields = ["subject_name", "subject_id", "requested_by_name", "decided_by_name"]

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All of them."""
        return [field.name for field in self.opts.fields]

# SPDX-License-Identifier: Apache-2.0
"""The base of all admin pages; it lives in the change log's room, which is below this one and needs it too."""

from apps.changes.admin_scope import OrganisationAdmin

__all__ = ["OrganisationAdmin"]

# SPDX-License-Identifier: Apache-2.0
"""The room of all pages."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    """Template tags and pages; no rows of its own."""

    name = "apps.dashboard"
    verbose_name = _("dashboard")

# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnalyticsConfig(AppConfig):
    """Figures, and the work that keeps counters and records in step."""

    name = "apps.analytics"
    verbose_name = _("Analytics")

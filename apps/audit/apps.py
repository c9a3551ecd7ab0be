# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    """Records of exchanges, their bodies, and how they came in."""

    name = "apps.audit"
    verbose_name = _("Records")

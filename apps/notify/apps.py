# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotifyConfig(AppConfig):
    """Notices and webhooks."""

    name = "apps.notify"
    verbose_name = _("Notices and webhooks")

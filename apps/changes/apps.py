# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChangesConfig(AppConfig):
    """The change log and the outbox."""

    name = "apps.changes"
    verbose_name = _("Change log")

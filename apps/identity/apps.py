# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IdentityConfig(AppConfig):
    """Organisations, people, roles and tokens."""

    name = "apps.identity"
    verbose_name = _("People and organisations")

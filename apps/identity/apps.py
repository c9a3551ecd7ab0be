# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from typing_extensions import override


class IdentityConfig(AppConfig):
    """Organisations, people, roles and tokens."""

    name = "apps.identity"
    verbose_name = _("People and organisations")

    @override
    def ready(self) -> None:
        """Say how organisations are published."""
        # Models can be imported only once all apps are there.
        from apps.changes.publish import register
        from apps.identity import publish

        register(publish.ROOM, publish.load_one, publish.load_all)

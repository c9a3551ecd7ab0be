# SPDX-License-Identifier: Apache-2.0
"""Switches the room on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from typing_extensions import override


class PoliciesConfig(AppConfig):
    """Rows, services and pages of this room."""

    name = "apps.policies"
    verbose_name = _("Policies")

    @override
    def ready(self) -> None:
        """Say how the values of this room are published."""
        from apps.policies import publish  # models are there only now

        publish.register_room()

# SPDX-License-Identifier: Apache-2.0
"""Reads of targets, always within an organisation."""

from django.db.models import QuerySet

from apps.core.django_rows import rows_of
from apps.routing.models import Target


def targets(organisation_id: str) -> QuerySet[Target]:
    """Targets with their model and provider."""
    found = rows_of(Target, organisation_id)
    return found.select_related("model", "provider").defer("provider__credential")

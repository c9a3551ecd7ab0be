# SPDX-License-Identifier: Apache-2.0
"""Timed work of the room."""

from celery import shared_task

from apps.approvals.services import expire_due


@shared_task(name="apps.approvals.tasks.expire")
def expire() -> None:
    """End requests that have waited too long."""
    expire_due()

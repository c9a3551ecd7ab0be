# SPDX-License-Identifier: Apache-2.0
"""Timed work of the room."""

from celery import shared_task

from apps.notify.services.delivery import BATCH, deliver_due

MOST_ROUNDS = 20


@shared_task(name="apps.notify.tasks.deliver")
def deliver() -> None:
    """Bring what is due to webhooks, a batch at a time, until nothing is due or others should have a turn."""
    for _ in range(MOST_ROUNDS):
        if deliver_due() < BATCH:
            return

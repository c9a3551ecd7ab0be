# SPDX-License-Identifier: Apache-2.0
"""Writing notices and webhooks, and bringing the ones to the others."""

from apps.notify.services.delivery import deliver_due
from apps.notify.services.notices import mark_read, notify
from apps.notify.services.webhooks import (
    change_webhook,
    create_webhook,
    delete_webhook,
    retry_delivery,
    rotate_webhook_secret,
)

__all__ = [
    "change_webhook",
    "create_webhook",
    "delete_webhook",
    "deliver_due",
    "mark_read",
    "notify",
    "retry_delivery",
    "rotate_webhook_secret",
]

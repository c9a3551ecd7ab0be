# SPDX-License-Identifier: Apache-2.0
"""Timed work on prices; it may be missed or run twice."""

import logging

from celery import shared_task

from apps.providers import services_prices

log = logging.getLogger(__name__)


@shared_task(name="apps.providers.tasks.publish_catalogue")
def publish_catalogue() -> None:
    """After an update, let gateways have the prices of the new catalogue."""
    count = services_prices.publish_catalogue()
    if count:
        log.info("%d models were published with the prices of the new catalogue", count)

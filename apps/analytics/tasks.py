# SPDX-License-Identifier: Apache-2.0
"""Timed work that keeps counters and records in step; one worker at a time, each task may be missed or run twice."""

import logging
import time

from celery import shared_task

from apps.analytics import rebuilding, reconciling, sweeping
from apps.audit.locks import alone
from apps.core.django_redis_client import client

log = logging.getLogger(__name__)

# Sweeping, correcting and rebuilding change the same counters: they share a lock.
COUNTERS = "analytics.counters"
WAIT_SECONDS = 12.0
POLL_SECONDS = 0.25


@shared_task(name="apps.analytics.tasks.sweep")
@alone(COUNTERS)
def sweep() -> None:
    """Close what dead processes left open and apply late ends."""
    settled = sweeping.sweep(client())
    corrected = sweeping.apply_corrections(client())
    if settled or corrected:
        log.info("%d open exchanges were settled, %d late ends applied", settled, corrected)


@shared_task(name="apps.analytics.tasks.rebuild")
@alone(COUNTERS)
def rebuild() -> None:
    """Rebuild lost counters as soon as every process is ready for it."""
    redis = client()
    wanted = rebuilding.unbuilt(redis)
    until = time.monotonic() + WAIT_SECONDS
    while wanted and (reasons := rebuilding.waiting_for(redis)):
        if time.monotonic() > until:
            log.warning("spend counters cannot be rebuilt yet: %s", "; ".join(reasons))
            return
        time.sleep(POLL_SECONDS)
    for organisation_id in wanted:
        rebuilding.rebuild_organisation(redis, organisation_id)


@shared_task(name="apps.analytics.tasks.reconcile")
@alone("analytics.reconcile")
def reconcile() -> None:
    """Compare counters and records, report what differs."""
    reconciling.reconcile(client())

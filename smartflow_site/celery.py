# SPDX-License-Identifier: Apache-2.0
"""The task queue: Celery on the shared Redis, and the table of what runs when."""

import os

from celery import Celery

from smartflow_site.env import load_or_exit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartflow_site.settings")
_ENV = load_or_exit()

# Task and seconds between two runs. Every task is safe to run twice at once and to miss.
TIMETABLE: tuple[tuple[str, float], ...] = (
    ("apps.analytics.tasks.sweep", 15.0),
    ("apps.analytics.tasks.rebuild", 15.0),
    ("apps.analytics.tasks.reconcile", 300.0),
    ("apps.audit.tasks.ensure_partitions", 3600.0),
    ("apps.approvals.tasks.expire", 30.0),
    ("apps.notify.tasks.deliver", 5.0),
    ("apps.providers.tasks.publish_catalogue", 3600.0),
)

app = Celery("smartflow")
app.conf.update(
    broker_url=_ENV.redis_url or "redis://127.0.0.1:1/0",
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "sf:celery:", "visibility_timeout": 3600},
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    enable_utc=True,
    timezone="UTC",
    # A run that nobody fetched before the next one is due is dropped, so that a pause leaves no backlog.
    beat_schedule={
        name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds, 10.0)}}
        for name, seconds in TIMETABLE
    },
)
app.autodiscover_tasks()

# SPDX-License-Identifier: Apache-2.0
"""One process that runs tasks, and beside them, where wanted, the clock that hands them out."""

from pathlib import Path
from typing import Any

from celery.beat import EmbeddedService
from celery.signals import worker_ready, worker_shutting_down

from smartflow_site.celery import app
from smartflow_site.env import Env

THREADS = 4


def run_worker(env: Env, *, with_beat: bool) -> int:
    """Run tasks in threads until a signal comes; the current ones are finished first."""
    if with_beat:
        attach_beat(_schedule_file(env))
    words = ["worker", "--pool=threads", f"--concurrency={THREADS}", f"--loglevel={env.log_level}"]
    app.worker_main([*words, "--without-gossip", "--without-mingle", "--without-heartbeat"])
    return 0


def run_beat(env: Env) -> int:
    """Hand out tasks by the timetable until a signal comes."""
    app.start(["beat", f"--loglevel={env.log_level}", "--schedule", str(_schedule_file(env)), "--pidfile="])
    return 0


def attach_beat(schedule: Path) -> None:
    """A clock in a thread: a process of its own would outlive a killed worker."""
    service: Any = EmbeddedService(app, thread=True, schedule_filename=str(schedule))

    def begin(**_: Any) -> None:
        service.start()

    def end(**_: Any) -> None:
        # Told to stop while still starting: waiting for a clock that never began would last for ever.
        if service.is_alive():
            service.stop()

    worker_ready.connect(begin, weak=False)
    worker_shutting_down.connect(end, weak=False)


def _schedule_file(env: Env) -> Path:
    env.var.mkdir(parents=True, exist_ok=True)
    return env.var / "celerybeat-schedule"

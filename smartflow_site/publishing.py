# SPDX-License-Identifier: Apache-2.0
"""Rounds of the publisher: what an edit's own process could not publish, everything when Redis lost it, answers."""

import logging
import re
import time
from typing import NoReturn

import redis
from django.db import DatabaseError, InterfaceError, connection
from kombu.exceptions import OperationalError as QueueError

from apps.analytics.rebuilding import unbuilt
from apps.analytics.tasks import rebuild
from apps.changes.publish import drain, publish_everything
from apps.core import redis_names
from apps.keys.publish import answer

PAUSE_SECONDS = 0.5
MOST_ANSWERS = 100
COUNT_AGAIN_SECONDS = 3.0
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)
_DIGEST = re.compile(rb"[0-9a-f]{64}")
# The task queue is on Redis too, but its client has faults of its own.
_AWAY = (redis.RedisError, DatabaseError, InterfaceError, QueueError)
_log = logging.getLogger("smartflow.publisher")


class Publisher:
    """One round after the other: answer for half a second, then look what is missing."""

    def __init__(self, store: "redis.Redis") -> None:
        self._store = store
        # A newer version of this code may write values differently, so the first round writes all of them.
        self._whole = True
        self._asked_to_count = 0.0

    def round(self) -> None:
        """Publish what is missing, then answer what is asked until the next round is due."""
        if self._whole or not self._store.exists(redis_names.EPOCH):
            publish_everything(self._store)
            self._whole = False
        drain(self._store)
        self._have_counted()
        until = time.monotonic() + PAUSE_SECONDS
        while (left := until - time.monotonic()) > 0:
            if asked := self._asked(left):
                answer(self._store, asked)

    def _have_counted(self) -> None:
        """A new organisation or an emptied store has no counters: a worker makes them now, not by its timetable."""
        if unbuilt(self._store) and time.monotonic() - self._asked_to_count > COUNT_AGAIN_SECONDS:
            rebuild.apply_async(expires=COUNT_AGAIN_SECONDS, retry=False)
            self._asked_to_count = time.monotonic()

    def _asked(self, seconds: float) -> list[str]:
        """Digests that gateways ask for, oldest first; empty when none came in time."""
        first = self._store.brpop([redis_names.ASKED], timeout=seconds)
        if first is None:
            return []
        more = self._store.rpop(redis_names.ASKED, MOST_ANSWERS - 1) or []
        # Whoever writes to this list is believed to be a gateway, but what it says is checked.
        return list(dict.fromkeys(raw.decode() for raw in (first[1], *more) if _DIGEST.fullmatch(raw)))


def run(publisher: Publisher) -> NoReturn:
    """Rounds without an end; while a store is away they are tried again, more and more seldom."""
    failures = 0
    while True:
        try:
            publisher.round()
            if failures:
                _log.warning("the stores are back")
            failures = 0
        except _AWAY as fault:
            connection.close()
            pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
            if failures < len(BACKOFF_SECONDS):
                _log.warning(
                    "a store does not answer (%s): trying again in %g s", type(fault).__name__, pause
                )
            failures += 1
            time.sleep(pause)

# SPDX-License-Identifier: Apache-2.0
"""Timed work that must not run twice at once, however many workers there are."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections


@contextmanager
def only_one(name: str, using: str = "default") -> Iterator[bool]:
    """Hold a lock of the database (advisory, of the session) if nobody does; False when somebody does."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('smartflow'), hashtext(%s))", [name])
        row = cursor.fetchone()
        if not (row and row[0]):
            yield False
            return
        try:
            yield True
        finally:
            # A broken connection has lost its locks by itself.
            if connections[using].is_usable():
                cursor.execute("SELECT pg_advisory_unlock(hashtext('smartflow'), hashtext(%s))", [name])


def alone(name: str, using: str = "default") -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Run a task only while nobody else runs one of the same name."""

    def wrapped(task: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(task)
        def run() -> None:
            with only_one(name, using) as mine:
                if mine:
                    task()

        return run

    return wrapped

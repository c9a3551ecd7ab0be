# SPDX-License-Identifier: Apache-2.0
"""The process that keeps Redis as the rows say: `python -m smartflow_site.publisher`; several copies are fine."""

import signal
from types import FrameType
from typing import NoReturn

from smartflow_site import rowsonly


def main() -> NoReturn:
    """Publish until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    rowsonly.set_up()
    # Rows can be imported only now.
    from apps.core.django_redis_client import client
    from smartflow_site import celery as _queue  # noqa: F401 - tasks are sent through this application
    from smartflow_site.publishing import Publisher, run

    run(Publisher(client()))


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Nothing is lost by ending anywhere: both stores undo what is half done, and the outbox remembers."""
    raise SystemExit(0)


if __name__ == "__main__":
    main()

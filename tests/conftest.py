# SPDX-License-Identifier: Apache-2.0
"""Real stores for every test that asks: PostgreSQL once per run, Valkey and a database once per worker."""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from smartflow_site.process import stop
from smartflow_site.stores import run_store
from smartflow_site.stores.postgres import APP, OWNER
from tests import settings as run

TEMPLATE = "test_template"
PATIENCE = 60.0


@dataclass(frozen=True)
class Stores:
    """Where the stores of this worker are; `environment()` is for child processes."""

    var: Path
    database: str
    database_url: str = field(repr=False)
    database_owner_url: str = field(repr=False)
    redis_url: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """The settings under which a child process uses the same stores."""
        return {
            "SMARTFLOW_VAR": str(self.var),
            "DATABASE_URL": self.database_url,
            "DATABASE_OWNER_URL": self.database_owner_url,
            "REDIS_URL": self.redis_url,
        }


@pytest.fixture(scope="session")
def postgres_server() -> None:
    """The PostgreSQL of this run; the first worker starts it, it ends with the run."""
    pid_file = run.SHARED / "postgres.pid"
    with _locked("postgres"):
        if not pid_file.exists():
            argv = [sys.executable, "-m", "smartflow_site.stores.run", "--only", "postgres", "--scratch"]
            argv += ["--var", str(run.POSTGRES.var), "--with-pid", os.environ["SMARTFLOW_TEST_PID"]]
            argv += ["--log", str(run.SHARED / "stores.log")]
            # Not a Popen: the worker that starts the server may end before the others do.
            pid = os.posix_spawn(
                sys.executable, argv, {**os.environ, "PYTHONPATH": str(run.ROOT)}, setsid=True
            )
            pid_file.write_text(str(pid))
        _wait_for(run.POSTGRES.ready, run.SHARED / "stores.log")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The Valkey of this worker; the value is its URL."""
    process = run_store(run.VALKEY)
    yield run.VALKEY.url()
    stop(process, signal.SIGTERM, 30)


@pytest.fixture
def redis_url(valkey_server: str) -> str:
    """The URL of this worker's Valkey, empty at the start of the test."""
    client = redis.Redis.from_url(valkey_server)
    client.flushall()
    client.close()
    return valkey_server


@pytest.fixture(scope="session")
def stores(postgres_server: None, valkey_server: str, django_db_setup: None) -> Stores:
    """Both stores with a migrated test database."""
    name = f"test_{run.WORKER}"
    return Stores(
        var=run.SHARED / run.WORKER,
        database=name,
        database_url=run.POSTGRES.url(APP, name),
        database_owner_url=run.POSTGRES.url(OWNER, name),
        redis_url=valkey_server,
    )


@pytest.fixture(scope="session")
def django_db_setup(postgres_server: None, django_db_blocker: Any) -> Iterator[None]:
    """Django's two aliases on this worker's database, cloned from one that was migrated as owner."""
    from django.conf import settings
    from django.db import connections

    name = f"test_{run.WORKER}"
    with django_db_blocker.unblock():
        with _locked("template"):
            if not (run.SHARED / "template.ready").exists():
                _make_template(connections["owner"])
                (run.SHARED / "template.ready").touch()
            _sql(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
        for alias in ("default", "owner"):
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = settings.DATABASES[alias]["NAME"] = name
        os.environ["DATABASE_URL"] = run.POSTGRES.url(APP, name)
        os.environ["DATABASE_OWNER_URL"] = run.POSTGRES.url(OWNER, name)
    yield
    with django_db_blocker.unblock():
        connections.close_all()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The process that made the folder stops what is left in it and removes it."""
    if os.environ.get("SMARTFLOW_TEST_PID") != str(os.getpid()) or hasattr(session.config, "workerinput"):
        return
    pid_file = run.SHARED / "postgres.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while _running(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    shutil.rmtree(run.SHARED, ignore_errors=True)


def _running(pid: int) -> bool:
    """Whether the process is there; our own child is reaped on the way."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()


def _make_template(owner: Any) -> None:
    """A database with all migrations, made as the role that owns the tables."""
    from django.core.management import call_command

    _sql(f"CREATE DATABASE {TEMPLATE}")
    owner.close()
    owner.settings_dict["NAME"] = TEMPLATE
    call_command("migrate", database="owner", verbosity=0, interactive=False, run_syncdb=True)
    owner.close()
    with psycopg.connect(run.POSTGRES.url(OWNER, TEMPLATE), autocommit=True) as connection:
        # Only tests empty tables: transactional ones flush between each other.
        connection.execute(f"GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {APP}")
        connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT TRUNCATE ON TABLES TO {APP}")


def _sql(statement: str) -> None:
    with psycopg.connect(run.POSTGRES.url(OWNER), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


@contextmanager
def _locked(name: str) -> Iterator[None]:
    with (run.SHARED / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_for(ready: Any, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            said = log.read_text() if log.exists() else "(nothing)"
            pytest.fail(f"the test PostgreSQL does not answer; it said: {said}")
        time.sleep(0.05)

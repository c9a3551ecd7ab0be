# SPDX-License-Identifier: Apache-2.0
"""A whole installation of real processes: both stores, gateway, shipper, publisher, worker. Each can be killed."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from apps.core import keyring, redis_names
from smartflow_site.env import ROOT
from smartflow_site.process import Command, free_port, holders, launch, stop
from smartflow_site.stores import Postgres, Valkey, run_store
from smartflow_site.stores.run import addresses

# Ends a test that has failed; nothing is measured against it.
PATIENCE = 180.0
STORES = ("postgres", "valkey")
SERVE = (sys.executable, str(ROOT / "manage.py"), "serve", "--role")
PROGRAMS = {
    "shipper": (*SERVE, "shipper"),
    "publisher": (sys.executable, "-m", "smartflow_site.publisher"),
    "worker": (*SERVE, "worker", "--with-beat"),
    "gateway": (*SERVE, "gateway"),
    # The same gateway with a journal that writes nothing: what the oracle must notice.
    "forgetful gateway": (sys.executable, "-m", "tests.faults.forgetful", "serve", "--role", "gateway"),
}


@dataclass(frozen=True)
class Office:
    """An organisation with two keys, each with a budget of its own: one is a hard limit, one only counts."""

    id: str
    secrets: dict[str, str] = field(repr=False)
    budgets: dict[str, str]
    # What the upstream's log calls its requests.
    script: str


class Installation:
    """Everything under one folder; both stores keep what they were told, as those of `manage.py up` do."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port = free_port()
        self.postgres, self.valkey = Postgres(var), Valkey(var)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._environment: dict[str, str] = {}
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper")

    def begin(self) -> None:
        """Start the stores, make the tables, start all processes but gateways."""
        for name in STORES:
            self.start_store(name)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SMARTFLOW_", "DATABASE"))
        }
        self._environment = {
            **clean,
            **addresses(self.postgres, self.valkey),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "smartflow_site.settings",
            "SMARTFLOW_VAR": str(self.var),
            "SMARTFLOW_KEY_RING": keyring.fresh().to_json(),
            "SMARTFLOW_PORT": str(self.port),
        }
        self._run(str(ROOT / "manage.py"), "migrate", "--database=owner", "--no-input", "--verbosity=0")
        self._run("-m", "smartflow_site.stores.grants")
        self.mend()
        self._keeper.start()

    def mend(self) -> None:
        """Start all that must run and does not, for the next test; gateways are stopped."""
        for name in STORES:
            if name not in self._running:
                self.start_store(name)
        for name in ("shipper", "publisher", "worker"):
            if name not in self._running:
                self.start(name)
        self.stop_gateways()

    def end(self) -> None:
        """Stop everything, the stores last."""
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for name in sorted(self._running, key=lambda name: name in STORES):
            self.stop(name)

    def office(self, upstream_url: str, script: str) -> Office:
        """A new organisation whose model's upstream behaves by a script, in words of its own."""
        word = secrets.token_hex(4)
        script = f"{script};model={word}"
        made = json.loads(self._run("-m", "tests.faults.furnish", f"Alder Bank {word}", upstream_url, script))
        return Office(made["id"], made["secrets"], made["budgets"], script)

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start a process; a gateway is waited for."""
        log = self.var / "log" / f"{name.replace(' ', '-')}.log"
        command = Command(argv=PROGRAMS[name], env=self._environment, log=log, cwd=ROOT)
        self._running[name] = launch(command)
        if name.endswith("gateway"):
            eventually(lambda: self._ready(name), "the gateway is ready")

    def start_store(self, name: str) -> None:
        """Start a store and wait until it answers."""
        self._running[name] = run_store(self.postgres if name == "postgres" else self.valkey)

    def kill(self, name: str) -> None:
        """End a process, or all processes of a store, by SIGKILL; returns when they are gone."""
        process = self._running.pop(name)
        process.kill()
        process.wait()
        if name == "postgres":
            for pid in holders(self.postgres.data):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: not holders(self.postgres.data), "PostgreSQL is gone")

    def stop(self, name: str) -> None:
        """End a process as an operator does."""
        stop(self._running.pop(name), signal.SIGINT if name == "postgres" else signal.SIGTERM, 60)

    def stop_gateways(self) -> None:
        """Stop the gateway if there is one: it finishes what it has begun."""
        for name in [name for name in self._running if name.endswith("gateway")]:
            self.stop(name)

    def forget(self) -> None:
        """Take away what a dead Valkey kept: it comes back empty."""
        shutil.rmtree(self.valkey.data / "appendonlydir")

    def store(self) -> Any:
        """A client of Valkey."""
        return redis.Redis.from_url(self._environment["REDIS_URL"])

    def database(self) -> "psycopg.Connection[Any]":
        """A connection to PostgreSQL that sees every organisation."""
        connection = psycopg.connect(self._environment["DATABASE_URL"], autocommit=True)
        connection.execute("SELECT set_config('smartflow.organisation', '*', false)")
        return connection

    def recorded(self, office: Office) -> int:
        """How many records of an organisation are in PostgreSQL."""
        with self.database() as database:
            query = "SELECT count(*) FROM audit_record WHERE organisation_id = %s"
            return int((database.execute(query, [office.id]).fetchone() or (0,))[0])

    def settle(self) -> None:
        """Stop the gateway and wait until every journal is shipped and every open exchange is closed."""
        self.stop_gateways()
        eventually(lambda: not list((self.var / "journal").glob("*/lock")), "all journals are shipped")
        with self.store() as store:
            eventually(lambda: not list(store.scan_iter("sf:*:open:*")), "all open exchanges are closed")
            eventually(lambda: _counted(store), "all counters are built")

    def log(self, name: str) -> str:
        """What a process said."""
        return (self.var / "log" / f"{name.replace(' ', '-')}.log").read_text(errors="replace")

    def _keep(self) -> None:
        """Restart who ends by itself, as the supervisor does: Celery gives up when its queue goes at a bad moment."""
        while not self._over.wait(0.2):
            for name in ("publisher", "worker"):
                if self._running[name].poll() is not None:
                    self.start(name)

    def _ready(self, name: str) -> bool:
        assert self._running[name].poll() is None, self.log(name)
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _counted(store: Any) -> bool:
    """Whether every organisation's counters are those of the epoch in force."""
    epoch = store.get(redis_names.EPOCH)
    known = [raw.decode() for raw in store.smembers(redis_names.ORGANISATIONS)]
    return epoch is not None and all(store.get(redis_names.counters(org)) == epoch for org in known)


def eventually(condition: Callable[[], bool], what: str = "this") -> None:
    """Wait for something to come about; the deadline only ends a test that has failed."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not come about that {what}"
        time.sleep(0.02)

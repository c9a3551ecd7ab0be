# SPDX-License-Identifier: Apache-2.0
"""`manage.py up`: everything on one machine, from an empty folder to a printed address."""

import asyncio
import http.client
import importlib.util
import os
import socket
import sys
import time
from pathlib import Path

from smartflow_site import localmodel, ports, welcome
from smartflow_site.children import ChildError, Spec
from smartflow_site.env import ROOT, Env, load
from smartflow_site.process import Command, Fault, free_port
from smartflow_site.secretfile import write_private
from smartflow_site.stores import Postgres, Valkey
from smartflow_site.stores.run import addresses, write_addresses
from smartflow_site.stores.store import Store
from smartflow_site.supervisor import Stopped, Supervisor, only_one, say

READY_SECONDS = 120.0
# Order of going: nobody writes to what has gone before.
_SERVERS, _SHIPPER, _WORKERS, _MODEL, _VALKEY, _POSTGRES = range(6)


async def up(env: Env) -> int:
    """Start all, stay until a signal, stop all; the exit code. Faults are ChildError, StoreError or PortError."""
    with only_one(env.var):
        supervisor = Supervisor(env.var)
        supervisor.listen_to_signals()
        await asyncio.to_thread(supervisor.sweep)
        listening = ports.bind(env.host, env.port)
        machine = Machine(env, supervisor, listening)
        try:
            await machine.start()
            await supervisor.wait()
        except Stopped:
            say("stopped while starting")
        finally:
            listening.close()
            code = await supervisor.shut_down()
            machine.clean_up()
        say("stopped")
        return code


class Machine:
    """The table of children of one machine, and the steps between them."""

    def __init__(self, env: Env, supervisor: Supervisor, listening: socket.socket) -> None:
        self.env = env
        self.supervisor = supervisor
        self.listening = listening
        self.began = time.monotonic()
        self.variables = {**os.environ, "SMARTFLOW_VAR": str(env.var), "PYTHONUNBUFFERED": "1"}
        self.variables.pop("SERVICE_TYPE", None)
        self._addresses = env.var / "stores.env"

    async def start(self) -> None:
        """Stores, schema, seed, model, servers; returns when the address answers."""
        beside = [asyncio.create_task(self._collect_static())]
        try:
            await self._start_stores()
            beside.append(asyncio.create_task(self._start_model()))
            await self._manage("migrating the database", "migrate", "--database=owner", "--no-input")
            await self._module("granting rights", "smartflow_site.stores.grants")
            await asyncio.gather(*beside)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        said = await self._module("seeding the demo organisation", "smartflow_site.quickstart")
        ports.listen(self.listening)
        await self.supervisor.start(*self._services())
        await self._until_ready()
        has_model = bool(self.variables.get("SMARTFLOW_LOCAL_MODEL_URL"))
        block = welcome.block(self.env.var / welcome.FILE, welcome.notes(said), has_model=has_model)
        print(f"\n{block}\n", flush=True)
        say(f"ready on {self.env.address} after {time.monotonic() - self.began:.0f} s; Ctrl-C stops it")

    def clean_up(self) -> None:
        """Take back the note of where the stores were."""
        self._addresses.unlink(missing_ok=True)

    async def _collect_static(self) -> None:
        """Needs no store, so it runs while they start; a log of its own keeps its words apart."""
        words = ("collectstatic", "--no-input", "--clear", "--verbosity=0")
        command = self._command([sys.executable, str(ROOT / "manage.py"), *words], "static")
        await self.supervisor.step("collecting static files", command)

    async def _start_stores(self) -> None:
        postgres = None if self.env.database_url else Postgres(self.env.var)
        valkey = None if self.env.redis_url else Valkey(self.env.var)
        if postgres is not None and postgres.note:
            say(postgres.note)
        if postgres is not None and not (postgres.data / "PG_VERSION").exists():
            say(f"making a new database in {postgres.base}")
        stores: list[tuple[Store | None, int]] = [(postgres, _POSTGRES), (valkey, _VALKEY)]
        await self.supervisor.start(
            *(store_spec(store, stage) for store, stage in stores if store is not None)
        )
        found = addresses(postgres, valkey)
        self.variables |= found
        if found:
            write_addresses(self._addresses, found)
        # From here on the children and we agree on what the settings are, or say at once what is wrong.
        self.env = load(self.variables, running_stores=False)

    async def _start_model(self) -> None:
        if not self.env.local_model or self.env.local_model_url:
            return
        if not localmodel.installed():
            say("the local model is not installed (requirements/model.txt): going on without it")
            return
        port = kept_port(self.env.var / "model.port")
        argv = [sys.executable, "-m", "smartflow_site.localmodel", "--port", str(port)]
        spec = Spec(
            name="local model",
            command=lambda: self._command(argv, "model"),
            stop_stage=_MODEL,
            ready=lambda: answers(port, "/health"),
            essential=False,
        )
        try:
            await self.supervisor.start(spec)
        except Fault as fault:
            say(f"{fault} Going on without it.")
            return
        self.variables["SMARTFLOW_LOCAL_MODEL_URL"] = f"http://127.0.0.1:{port}/v1"

    def _services(self) -> list[Spec]:
        number = self.listening.fileno()
        serve = [sys.executable, str(ROOT / "manage.py"), "serve", "--role"]
        specs = [
            Spec(
                name=f"server-{index + 1}",
                command=lambda: self._command([*serve, "all", "--fd", str(number)], "server", number),
                stop_stage=_SERVERS,
                stop_seconds=self.env.drain_wait_s + self.env.drain_deadline_s + 5,
            )
            for index in range(self.env.workers)
        ]
        if _exists("apps.audit.shipper"):
            shipper = [*serve, "shipper"]
            specs.append(
                Spec(
                    name="shipper",
                    command=lambda: self._command(shipper, "shipper"),
                    stop_stage=_SHIPPER,
                    stop_seconds=30,
                )
            )
        worker = [*serve, "worker", "--with-beat"]
        specs.append(
            Spec(
                name="worker",
                command=lambda: self._command(worker, "worker"),
                stop_stage=_WORKERS,
                stop_seconds=30,
            )
        )
        if _exists("smartflow_site.publisher"):
            publisher = [sys.executable, "-m", "smartflow_site.publisher"]
            specs.append(
                Spec(
                    name="publisher",
                    command=lambda: self._command(publisher, "publisher"),
                    stop_stage=_WORKERS,
                )
            )
        return specs

    async def _until_ready(self) -> None:
        """Wait for 200 from /readyz, saying every few seconds what is missing."""
        host, port = self.listening.getsockname()[:2]
        reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        began = told = time.monotonic()
        while time.monotonic() - began < READY_SECONDS:
            status, body = await asyncio.to_thread(get, reach, port, "/readyz")
            self.supervisor.check_stopped()
            if status == http.client.OK:
                return
            if time.monotonic() - told > 5:
                told = time.monotonic()
                say(f"waiting for /readyz ({told - began:.0f} s): {status or 'no answer'} {body[:200]}")
            await asyncio.sleep(0.1)
        raise ChildError(
            f"The servers did not become ready within {READY_SECONDS:.0f} s. Log: {self._log('server')}"
        )

    async def _manage(self, name: str, *words: str) -> str:
        return await self.supervisor.step(
            name, self._command([sys.executable, str(ROOT / "manage.py"), *words], "manage")
        )

    async def _module(self, name: str, module: str) -> str:
        return await self.supervisor.step(name, self._command([sys.executable, "-m", module], "manage"))

    def _command(self, argv: list[str], log: str, *fds: int) -> Command:
        return Command(argv=tuple(argv), env=self.variables, log=self._log(log), cwd=ROOT, pass_fds=fds)

    def _log(self, name: str) -> Path:
        return self.env.var / "log" / f"{name}.log"


def store_spec(store: Store, stage: int) -> Spec:
    """The row of the table for an embedded store."""
    return Spec(
        name=store.name,
        command=store.command,
        prepare=store.prepare,
        ready=store.ready,
        explain=store.explain,
        busy=store.still_busy,
        stop_stage=stage,
        stop_seconds=60,
        watched=True,
    )


def kept_port(path: Path) -> int:
    """The port noted in the file while it is free, else a new one, noted."""
    try:
        known = int(path.read_text(encoding="utf-8"))
        ports.bind("127.0.0.1", known).close()
    except (FileNotFoundError, ValueError, OverflowError, ports.PortError):
        known = free_port()
        write_private(path, f"{known}\n")
    return known


def answers(port: int, path: str) -> bool:
    """Whether a loopback server says 200."""
    return get("127.0.0.1", port, path)[0] == http.client.OK


def get(host: str, port: int, path: str) -> tuple[int, str]:
    """Status and text of one GET; status 0 when nobody answers in time."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(4096).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

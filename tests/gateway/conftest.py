# SPDX-License-Identifier: Apache-2.0
"""A gateway process in front of an upstream process, both real, on loopback."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.core import keyring, redis_names
from smartflow_site.env import ROOT
from smartflow_site.process import free_port, stop
from smartflow_site.stores import Valkey, run_store
from tests.gateway.desk import Desk
from tests.gateway.world import SECRET, World, connect
from tests.upstreams.running import Upstream, running

PATIENCE = 60.0


@dataclass
class Server:
    """A gateway process; `client` talks to it with the world's key."""

    port: int
    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    var: Path
    log: Path | None = None

    @property
    def url(self) -> str:
        """Where the process listens."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """Everything the process wrote to its output so far."""
        return self.log.read_text(errors="replace") if self.log is not None else ""

    def records(self) -> list[dict[str, object]]:
        """The finished records of all journals, oldest first."""
        return [record for kind, record in journal_lines(self.var) if kind == "done"]

    def chat(self, model: str = "plain", text: str = "Hello", **fields: object) -> httpx.Response:
        """One JSON chat."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.client.post("/v1/chat/completions", json=body)

    def record(self, answer: httpx.Response) -> dict[str, object]:
        """The journalled record of an answer."""
        return next(row for row in self.records() if row["id"] == answer.headers["x-request-id"])


def journal_lines(var: Path) -> list[tuple[str, dict[str, object]]]:
    """All journal lines as (kind, value); the checksum is the journal tests' business."""
    found = []
    for segment in sorted((var / "journal").glob("*/*.seg")):
        for line in segment.read_bytes().splitlines():
            _, kind, payload = line.split(b" ", 2)
            found.append((kind.decode(), json.loads(payload)))
    return found


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """One upstream for the whole run of a worker."""
    with running(tmp_path_factory.mktemp("upstream") / "log") as found:
        yield found


@pytest.fixture
def ring() -> keyring.KeyRing:
    return keyring.fresh()


@pytest.fixture
def world(redis_url: str, upstream: Upstream, ring: keyring.KeyRing) -> Iterator[World]:
    """A published organisation with one key."""
    client = connect(redis_url)
    yield World(client, ring).begin(upstream.url)
    client.close()


def start(
    redis_url: str, ring: keyring.KeyRing, var: Path, *, daphne: bool = False, **settings: str
) -> Server:
    """Start a gateway process and wait until it is ready; under daphne there are neither lifespan events nor our guard."""
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SMARTFLOW_", "DATABASE"))
    }
    environment |= {"REDIS_URL": redis_url, "SMARTFLOW_VAR": str(var), "SMARTFLOW_KEY_RING": ring.to_json()}
    environment |= {"SMARTFLOW_PORT": str(port), **settings}
    command = [sys.executable, "manage.py", "serve", "--role", "gateway"]
    if daphne:
        environment["SERVICE_TYPE"] = "gateway"
        command = [
            sys.executable,
            "-m",
            "daphne",
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "smartflow_site.asgi:application",
        ]
    var.mkdir(parents=True, exist_ok=True)
    log = var / "output.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {SECRET}"}, timeout=PATIENCE
    )
    server = Server(port, process, client, var, log)
    try:
        eventually(lambda: _ready(server))
    except BaseException:
        finish(server)
        raise
    return server


def _ready(server: Server) -> bool:
    assert server.process.poll() is None, server.said()
    try:
        return server.client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def finish(server: Server) -> None:
    """Stop a gateway process."""
    server.client.close()
    stop(server.process, signal.SIGTERM, 30)


@pytest.fixture
def gateway(world: World, redis_url: str, ring: keyring.KeyRing, tmp_path: Path) -> Iterator[Server]:
    """A gateway process that knows the world."""
    server = start(redis_url, ring, tmp_path)
    yield server
    finish(server)


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something to come about; the deadline only ends a test that has failed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about"
        time.sleep(0.02)


@dataclass
class House:
    """A gateway process and its store that many tests share, each with an organisation of its own."""

    server: Server
    redis_url: str
    ring: keyring.KeyRing


def _house(folder: Path, *, daphne: bool = False) -> Iterator[House]:
    store = Valkey(folder / "store", durable=False)
    process = run_store(store)
    ring = keyring.fresh()
    with connect(store.url()) as client:
        client.set(redis_names.EPOCH, "e1")
    try:
        server = start(store.url(), ring, folder / "gateway", daphne=daphne)
        yield House(server, store.url(), ring)
        finish(server)
    finally:
        stop(process, signal.SIGKILL, 10)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The shared gateway of this worker."""
    yield from _house(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="session")
def daphne_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same application under daphne."""
    yield from _house(tmp_path_factory.mktemp("daphne"), daphne=True)


def open_desk(house: House, upstream: Upstream) -> Desk:
    """A new organisation in a shared gateway, known to it."""
    world = World(connect(house.redis_url), house.ring, secret="sk-sf-" + secrets.token_hex(24))
    return Desk(house.server, world.begin(upstream.url), upstream).sync()


@pytest.fixture
def desk(house: House, upstream: Upstream) -> Iterator[Desk]:
    """A new organisation in the shared gateway."""
    found = open_desk(house, upstream)
    yield found
    found.close()

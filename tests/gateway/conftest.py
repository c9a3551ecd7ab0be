# SPDX-License-Identifier: Apache-2.0
"""A gateway process in front of an upstream process, both real, on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.core import keyring
from smartflow_site.env import ROOT
from smartflow_site.process import free_port, stop
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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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
    import json

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


def start(redis_url: str, ring: keyring.KeyRing, var: Path, **settings: str) -> Server:
    """Start a gateway process and wait until it is ready."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SMARTFLOW_", "DATABASE"))}
    environment |= {"REDIS_URL": redis_url, "SMARTFLOW_VAR": str(var), "SMARTFLOW_KEY_RING": ring.to_json()}
    environment |= {"SMARTFLOW_PORT": str(port), **settings}
    command = [sys.executable, "manage.py", "serve", "--role", "gateway"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {SECRET}"}, timeout=PATIENCE
    )
    server = Server(port, process, client, var)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                return server
        except httpx.TransportError:
            pass
        assert process.poll() is None, "the gateway ended"
        assert time.monotonic() < deadline, "the gateway is not ready"
        time.sleep(0.05)


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

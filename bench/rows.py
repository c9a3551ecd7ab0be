# SPDX-License-Identifier: Apache-2.0
"""What is measured side by side: one row is one way from the load generator to the upstream."""

import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench import nginx, traffic
from bench.ground import Ground, GroundError, ports
from bench.load import Order
from bench.traffic import Shape

_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Way:
    """Where the requests of one shape go, and under which model."""

    port: int
    path: str
    model: str


@dataclass(frozen=True, slots=True)
class Row:
    """One way to the upstream; `pid` is the root of the process tree whose CPU is counted, 0 for none."""

    name: str
    what: str
    ways: Mapping[str, Way]
    pid: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, int] = field(default_factory=dict)
    version: str = ""
    stage: bool = False

    def order(self, shape: Shape, concurrency: int, first_number: int, **more: float) -> Order:
        """What the load generator is told for a slot of this row."""
        way = self.ways[shape.name]
        return Order(
            port=way.port,
            path=way.path,
            headers=dict(self.headers),
            shape=shape.name,
            model=way.model,
            concurrency=concurrency,
            first_number=first_number,
            seconds=more.get("seconds", 0.0),
            requests=int(more.get("requests", 0)),
        )


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The ports that stand for a provider; they are one and the same without nginx."""

    json_port: int
    sse_port: int
    json_kind: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway to measure in the same run: a pinned version, how it starts, and where it listens.

    `start` gets the ground, a free port and the upstreams and returns the row; it raises GroundError with the
    reason when the peer is not installed, and the run goes on without it.
    """

    name: str
    version: str
    start: Callable[[Ground, int, Upstreams], Row]


def start_upstreams(ground: Ground, kind: str) -> Upstreams:
    """The streaming upstream is ours; JSON comes from nginx where it is installed, unless `kind` is own."""
    json_port, sse_port = ports(2)
    argv = [sys.executable, "-m", "tests.upstreams.openai_server", "--port", str(sse_port)]
    process = ground.start("upstream", argv)
    ground.wait_ready("upstream", process, f"http://127.0.0.1:{sse_port}/_stats")
    if kind == "own" or (kind == "auto" and nginx.binary() is None):
        return Upstreams(sse_port, sse_port, "uvloop")
    if nginx.binary() is None:
        raise GroundError("nginx is not installed")
    argv = nginx.command(ground.folder, "nginx-upstream", nginx.upstream(json_port))
    process = ground.start("nginx-upstream", argv)
    ground.wait_ready("nginx-upstream", process, f"http://127.0.0.1:{json_port}/")
    return Upstreams(json_port, sse_port, f"nginx {nginx.version()}")


def direct(upstreams: Upstreams) -> Row:
    """The load generator at the upstream itself: what a wall time is made of before anybody adds to it."""
    ways = {
        "json": Way(upstreams.json_port, _PATH, traffic.JSON.model),
        "sse": Way(upstreams.sse_port, _PATH, traffic.SSE.model),
    }
    return Row("direct", "the upstream itself", ways)


def pass_through(ground: Ground, upstreams: Upstreams, client: str, *, first: bool) -> Row:
    """A raw ASGI callable on uvicorn with our upstream client and no governance."""
    (port,) = ports(1)
    argv = [sys.executable, "-m", "bench.passthrough", "--port", str(port), "--client", client]
    argv += ["--json-url", f"http://127.0.0.1:{upstreams.json_port}{_PATH}"]
    argv += ["--sse-url", f"http://127.0.0.1:{upstreams.sse_port}{_PATH}"]
    process = ground.start(f"pass-through-{client}", argv)
    name = "pass-through" if first else f"pass-through {client}"
    wait_for_port(ground, name, port)
    what = f"raw ASGI on uvicorn + {client}, no governance"
    return Row(name, what, both_ways(port, "/sse" + _PATH), process.pid)


def both_ways(port: int, sse_path: str) -> dict[str, Way]:
    """The two shapes at one port, under the names the upstream understands."""
    return {
        "json": Way(port, _PATH, traffic.JSON.model),
        "sse": Way(port, sse_path, traffic.SSE.model),
    }


def wait_for_port(ground: Ground, name: str, port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise GroundError(f"{name} does not listen; see {ground.log(name)}")


def _start_nginx(ground: Ground, port: int, upstreams: Upstreams) -> Row:
    if nginx.binary() is None:
        raise GroundError("nginx is not installed")
    server = nginx.proxy(port, upstreams.json_port, upstreams.sse_port)
    process = ground.start("nginx-proxy", nginx.command(ground.folder, "nginx-proxy", server))
    wait_for_port(ground, "nginx", port)
    return Row(
        "nginx",
        "proxy_pass with pooled connections, no buffering",
        both_ways(port, "/sse" + _PATH),
        process.pid,
        version=nginx.version(),
    )


# The door for peers: one entry makes a row of its own. Whoever adds a gateway pins its version here.
PEERS: tuple[Peer, ...] = (Peer("nginx", "the system's", _start_nginx),)

# SPDX-License-Identifier: Apache-2.0
"""Our own rows: one gateway process as it runs in a pod, its control side and stores beside it, each in its column."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench import processes
from bench.ground import Ground, GroundError, ports
from bench.rows import Row, Upstreams, Way
from bench.variants import JSON_MODEL, SSE_MODEL, VARIANTS, Variant
from smartflow_site.env import ROOT

_PATH = "/v1/chat/completions"
_STARTS = 3
_MANAGE = [sys.executable, str(ROOT / "manage.py")]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything beside a gateway: where it finds the stores, the keys of the variants, the processes to watch."""

    env: Mapping[str, str]
    secrets: Mapping[str, str]
    columns: Mapping[str, int]


def build(ground: Ground, upstreams: Upstreams) -> Site:
    """Stores, schema, rows, publisher, worker, shipper."""
    env = _environment(ground)
    stores = _start_stores(ground, env)
    ground.run("migrate", [*_MANAGE, "migrate", "--database=owner", "--no-input", "--verbosity=0"], env)
    ground.run("grants", [sys.executable, "-m", "smartflow_site.stores.grants"], env)
    secrets = _seed(ground, upstreams, env)
    ground.start("publisher", [sys.executable, "-m", "smartflow_site.publisher"], env=env)
    ground.start("worker", [*_MANAGE, "serve", "--role", "worker", "--with-beat"], env=env)
    shipper = ground.start("shipper", [*_MANAGE, "serve", "--role", "shipper"], env=env)
    columns = {"Valkey": _child(stores.pid, "valkey"), "PostgreSQL": _child(stores.pid, "postgres")}
    return Site(env, secrets, {**columns, "shipper": shipper.pid})


def start_wrapped(
    ground: Ground, site: Site, client: str, wrapper: Sequence[str]
) -> tuple[Row, "subprocess.Popen[bytes]"]:
    """A gateway started by another command than manage.py, and its Lean row."""
    env = {**site.env, "SMARTFLOW_UPSTREAM_CLIENT": client}
    port, process = _start_gateway(ground, "gateway-wrapped", env, wrapper)
    row = _row(VARIANTS[0], port, process.pid, site)
    _wait_admitted(ground, row)
    return row, process


def start(ground: Ground, site: Site, client: str, *, first: bool) -> list[Row]:
    """One gateway process and its rows: every variant for the first client, only Lean for further ones."""
    env = {**site.env, "SMARTFLOW_UPSTREAM_CLIENT": client}
    port, process = _start_gateway(ground, f"gateway-{client}", env)
    found = []
    for variant in VARIANTS:
        if first or variant.name == "Lean":
            row = _row(variant, port, process.pid, site)
            found.append(row if first else replace(row, name=f"{row.name} {client}", stores={}))
    for row in found:
        _wait_admitted(ground, row)
    return found


def start_and_memory(ground: Ground, site: Site, client: str, rows: list[Row]) -> dict[str, float]:
    """Start of a gateway beside the running ones, several times; memory of the one that served."""
    env = {**site.env, "SMARTFLOW_UPSTREAM_CLIENT": client}
    seconds, sizes = [], []
    for _ in range(_STARTS):
        began = time.perf_counter()
        _, process = _start_gateway(ground, "gateway-again", env)
        seconds.append(time.perf_counter() - began)
        sizes.append(processes.rss_kb(process.pid) / 1024)
        ground.end(process)
    lean = next(row for row in rows if row.name == "Lean")
    return {
        "gateway start to ready, seconds (median)": median(seconds),
        "gateway memory when ready, MB": median(sizes),
        "gateway memory after the run, MB": processes.rss_kb(lean.pid) / 1024,
    }


def _environment(ground: Ground) -> dict[str, str]:
    """The settings of every process; the stores' addresses come from the note they leave in var."""
    foreign = ("SMARTFLOW_", "DATABASE_", "REDIS_", "SERVICE_TYPE")
    for name in [name for name in os.environ if name.startswith(foreign)]:
        del os.environ[name]
    return {"SMARTFLOW_VAR": str(ground.folder / "var")}


def _start_stores(ground: Ground, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "smartflow_site.stores.run", "--var", env["SMARTFLOW_VAR"]]
    process = ground.start("stores", argv, env=env)
    note = ground.folder / "var" / "stores.env"
    ground.wait_until("stores", process, note.exists)
    return process


def _seed(ground: Ground, upstreams: Upstreams, env: Mapping[str, str]) -> dict[str, str]:
    file = ground.folder / "var" / "bench-keys.json"
    argv = [sys.executable, "-m", "bench.seed", "--secrets", str(file)]
    argv += ["--json-url", f"http://127.0.0.1:{upstreams.json_port}/v1"]
    argv += ["--sse-url", f"http://127.0.0.1:{upstreams.sse_port}/v1"]
    ground.run("seed", argv, env)
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _start_gateway(
    ground: Ground, name: str, env: Mapping[str, str], wrapper: Sequence[str] = _MANAGE
) -> tuple[int, subprocess.Popen[bytes]]:
    (port,) = ports(1)
    argv = [*wrapper, "serve", "--role", "gateway", "--port", str(port)]
    process = ground.start(name, argv, env=env)
    ground.wait_ready(name, process, f"http://127.0.0.1:{port}/readyz")
    return port, process


def _row(variant: Variant, port: int, pid: int, site: Site) -> Row:
    ways = {"json": Way(port, _PATH, JSON_MODEL), "sse": Way(port, _PATH, SSE_MODEL)}
    headers = {"authorization": f"Bearer {site.secrets[variant.name]}", **variant.headers}
    return Row(variant.name, variant.what, ways, pid, headers, site.columns, stage=variant.stage)


def _child(parent: int, name: str) -> int:
    """The process of a store below the one that started it."""
    for pid in sorted(processes.tree(parent) - {parent}):
        if name in processes.command(pid):
            return pid
    raise GroundError(f"{name} is not running")


def _wait_admitted(ground: Ground, row: Row) -> None:
    """Wait until the gateway knows the key and its counters: the first answers may be refusals."""
    way = row.ways["json"]
    body = json.dumps({"model": way.model, "messages": [{"role": "user", "content": "ready?"}]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{way.port}{way.path}",
        data=body,
        headers={**row.headers, "content-type": "application/json"},
    )
    said = ""
    for _ in range(120):
        try:
            with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - the same
                return
        except urllib.error.HTTPError as fault:
            said = f"{fault.code}: {fault.read().decode(errors='replace')[:300]}"
        except OSError as fault:
            said = str(fault)
        time.sleep(0.5)
    raise GroundError(f"{row.name} is not admitted: {said}; see {ground.log('gateway')}")

# SPDX-License-Identifier: Apache-2.0
"""Our own rows: one gateway process as it runs in a pod, its control side and stores beside it, each in its column."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from statistics import median

from bench import processes
from bench.ground import Ground, GroundError, ports
from bench.rows import Row, Upstreams, Way
from bench.variants import JSON_MODEL, SSE_MODEL, VARIANTS, Variant
from smartflow_site.env import ROOT

_PATH = "/v1/chat/completions"
_STARTS = 3
_MANAGE = [sys.executable, str(ROOT / "manage.py")]


def start(ground: Ground, upstreams: Upstreams, client: str) -> list[Row]:
    """Stores, schema, rows, publisher, worker, shipper, gateway; one row per variant, all at the same process."""
    env = _environment(ground, client)
    stores = _start_stores(ground, env)
    ground.run("migrate", [*_MANAGE, "migrate", "--database=owner", "--no-input", "--verbosity=0"], env)
    ground.run("grants", [sys.executable, "-m", "smartflow_site.stores.grants"], env)
    secrets = _seed(ground, upstreams, env)
    ground.start("publisher", [sys.executable, "-m", "smartflow_site.publisher"], env=env)
    ground.start("worker", [*_MANAGE, "serve", "--role", "worker", "--with-beat"], env=env)
    shipper = ground.start("shipper", [*_MANAGE, "serve", "--role", "shipper"], env=env)
    port, process = _start_gateway(ground, "gateway", env)
    columns = {"Valkey": _child(stores.pid, "valkey"), "PostgreSQL": _child(stores.pid, "postgres")}
    found = [
        _row(variant, port, process.pid, secrets[variant.name], {**columns, "shipper": shipper.pid})
        for variant in VARIANTS
    ]
    for row in found:
        _wait_admitted(ground, row)
    return found


def start_and_memory(ground: Ground, rows: list[Row]) -> dict[str, float]:
    """Start of a gateway beside the running ones, several times; memory of the one that served."""
    env = _environment(ground, "aiohttp")
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


def _environment(ground: Ground, client: str) -> dict[str, str]:
    """The settings of every process; the stores' addresses come from the note they leave in var."""
    foreign = ("SMARTFLOW_", "DATABASE_", "REDIS_", "SERVICE_TYPE")
    for name in [name for name in os.environ if name.startswith(foreign)]:
        del os.environ[name]
    return {"SMARTFLOW_VAR": str(ground.folder / "var"), "SMARTFLOW_UPSTREAM_CLIENT": client}


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


def _start_gateway(ground: Ground, name: str, env: Mapping[str, str]) -> tuple[int, subprocess.Popen[bytes]]:
    (port,) = ports(1)
    argv = [*_MANAGE, "serve", "--role", "gateway", "--port", str(port)]
    process = ground.start(name, argv, env=env)
    ground.wait_ready(name, process, f"http://127.0.0.1:{port}/readyz")
    return port, process


def _row(variant: Variant, port: int, pid: int, secret: str, stores: Mapping[str, int]) -> Row:
    ways = {"json": Way(port, _PATH, JSON_MODEL), "sse": Way(port, _PATH, SSE_MODEL)}
    headers = {"authorization": f"Bearer {secret}", **variant.headers}
    return Row(variant.name, variant.what, ways, pid, headers, stores, stage=variant.stage)


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

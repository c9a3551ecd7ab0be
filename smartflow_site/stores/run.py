# SPDX-License-Identifier: Apache-2.0
"""Both stores in the foreground without anything else: `python -m smartflow_site.stores.run --var DIR`."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from smartflow_site.process import stop
from smartflow_site.secretfile import write_private
from smartflow_site.stores.postgres import APP, OWNER, Postgres
from smartflow_site.stores.store import Store, StoreError, run_store
from smartflow_site.stores.valkey import Valkey


def addresses(postgres: Postgres | None, valkey: Valkey | None) -> dict[str, str]:
    """The settings under which other processes find the stores."""
    found: dict[str, str] = {}
    if postgres is not None:
        found |= {"DATABASE_URL": postgres.url(APP), "DATABASE_OWNER_URL": postgres.url(OWNER)}
    if valkey is not None:
        found["REDIS_URL"] = valkey.url()
    return found


def write_addresses(path: Path, values: Mapping[str, str]) -> None:
    """Leave the addresses where `manage.py` commands started by hand look for them, mode 600."""
    write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))


def main(argv: list[str] | None = None) -> int:
    """Start both stores, write DIR/stores.env, wait for a signal (or the end of a process), stop them."""
    parser = argparse.ArgumentParser(prog="smartflow_site.stores.run", description=main.__doc__)
    parser.add_argument("--var", type=Path, required=True, help="folder for data, secrets and logs")
    parser.add_argument("--with-pid", type=int, default=0, help="stop as soon as this process is gone")
    parser.add_argument("--only", choices=("postgres", "valkey"), default="", help="start one of the two")
    parser.add_argument(
        "--scratch", action="store_true", help="no fsync: for tests, data is lost on power loss"
    )
    parser.add_argument("--log", type=Path, help="write what is said to this file instead")
    options = parser.parse_args(argv)
    if options.log:
        with options.log.open("ab", buffering=0) as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        return _serve(options, ended)
    except StoreError as fault:
        print(f"smartflow: {fault}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace, ended: threading.Event) -> int:
    var, durable = options.var.absolute(), not options.scratch
    postgres = Postgres(var, durable=durable) if options.only != "valkey" else None
    valkey = Valkey(var, durable=durable) if options.only != "postgres" else None
    running: list[tuple[str, subprocess.Popen[bytes], signal.Signals]] = []
    file = var / "stores.env"
    code = 0
    try:
        stores: list[Store | None] = [postgres, valkey]
        for store in filter(None, stores):
            process = run_store(store)
            running.append((store.name, process, store.command().stop_signal))
        write_addresses(file, addresses(postgres, valkey))
        print(f"ready: {file}", flush=True)
        while not ended.wait(0.25):
            dead = [name for name, process, _ in running if process.poll() is not None]
            if dead:
                print(f"smartflow: {dead[0]} ended; see {var / 'log'}", file=sys.stderr)
                code = 1
                break
            if options.with_pid and not _alive(options.with_pid):
                break
    finally:
        file.unlink(missing_ok=True)
        for _, process, stop_signal in reversed(running):
            stop(process, stop_signal, 30)
    return code


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    raise SystemExit(main())

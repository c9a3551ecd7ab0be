# SPDX-License-Identifier: Apache-2.0
"""What a run stands on: a folder, and processes that end with it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smartflow_site.env import ROOT
from smartflow_site.process import Command, free_port, launch, stop, tail

PATIENCE = 60.0


class GroundError(Exception):
    """Something the bench needs did not start; the text says which and what it said."""


class Ground:
    """Starts processes with a log each and stops them in reverse order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes], signal.Signals]] = []

    def start(
        self,
        name: str,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        """Start a process under a name; its output goes to a log of that name."""
        log = self.log(name)
        whole = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        command = Command(argv=tuple(argv), env=whole, log=log, cwd=ROOT, stop_signal=stop_signal)
        process = launch(command)
        self._running.append((name, process, stop_signal))
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Stop one process now."""
        for row in [row for row in self._running if row[1] is process]:
            stop(process, row[2], 30)
            self._running.remove(row)

    def run(self, name: str, argv: list[str], env: Mapping[str, str]) -> None:
        """Run a step to its end; GroundError when it fails."""
        process = self.start(name, argv, env=env)
        code = process.wait(300)
        self._running = [row for row in self._running if row[1] is not process]
        if code:
            raise GroundError(f"{name} ended with code {code}:\n{tail(self.log(name))}")

    def wait_ready(self, name: str, process: subprocess.Popen[bytes], url: str) -> None:
        """Wait until the address says 200; GroundError when it never does."""
        self.wait_until(name, process, lambda: answers(url))

    def wait_until(self, name: str, process: subprocess.Popen[bytes], done: Callable[[], bool]) -> None:
        """Wait for a condition while the process lives; GroundError when it does not come about."""
        began = time.perf_counter()
        while time.perf_counter() - began < PATIENCE and process.poll() is None:
            if done():
                return
            time.sleep(0.01)
        raise GroundError(f"{name} was not ready:\n{tail(self.log(name))}")

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.folder / "log" / f"{name}.log"

    def stop_all(self) -> None:
        """Stop what was started, last first."""
        while self._running:
            self.end(self._running[-1][1])


@contextmanager
def ground() -> Iterator[Ground]:
    """A fresh folder with its processes; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="smartflow-bench-"))
    made = Ground(folder)
    try:
        yield made
    finally:
        made.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    """Whether an address says 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback addresses of ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def ports(number: int) -> list[int]:
    """Free ports, all different."""
    found: set[int] = set()
    while len(found) < number:
        found.add(free_port())
    return sorted(found)

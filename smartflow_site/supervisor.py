# SPDX-License-Identifier: Apache-2.0
"""Keeps a table of children running: starts them in order, restarts them, ends them in order."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from smartflow_site.children import Child, ChildError, Spec, end_leftovers, in_stages, last_words
from smartflow_site.process import Command, Fault, launch, rotate, stop, tail
from smartflow_site.secretfile import private_folder


def say(text: str) -> None:
    """One line for the person at the console."""
    print(f"smartflow: {text}", flush=True)


@contextlib.contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the folder's lock; a second holder is refused with a sentence naming the first."""
    private_folder(var)
    with (var / "supervisor.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise ChildError(
                f"Smartflow already runs from {var} (process {owner}); stop it first or set another SMARTFLOW_VAR."
            ) from fault
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Stopped(Exception):  # noqa: N818 - a wish, not a fault
    """A signal came while things were still being started."""


class Supervisor:
    """Children in the order they were started; `stopped` is set by the first signal, `hurry` by the second."""

    def __init__(self, var: Path, pids: Path | None = None) -> None:
        self.var = var
        self.pids = pids or var / "run"
        self.children: list[Child] = []
        self.stopped = asyncio.Event()
        self.hurry = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._failure: Fault | None = None

    def listen_to_signals(self) -> None:
        """Ctrl-C and SIGTERM drain; the second one hurries."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)

    def sweep(self) -> None:
        """End what a killed supervisor left behind."""
        end_leftovers(self.pids, say)

    async def start(self, *specs: Spec) -> None:
        """Start children side by side, wait until each is ready, and keep them from then on."""
        fresh = [Child(spec, self.pids, say) for spec in specs]
        self.children += fresh
        await self._unless_stopped(*(child.start() for child in fresh))
        self._keepers += [asyncio.create_task(self._keep(child)) for child in fresh]

    async def step(self, name: str, command: Command, seconds: float = 600) -> str:
        """Run a command to its end with progress lines; its output, or ChildError with its last words."""
        rotate(command.log)
        offset = command.log.stat().st_size if command.log.exists() else 0
        process = launch(command)
        began = told = time.monotonic()
        try:
            while process.poll() is None:
                await asyncio.sleep(0.05)
                if self.stopped.is_set() or time.monotonic() - began > seconds:
                    break
                if time.monotonic() - told > 5:
                    told = time.monotonic()
                    say(f"{name} ({told - began:.0f} s)")
        finally:
            # Also when another step failed meanwhile and this one is cancelled.
            stop(process, signal.SIGTERM, 5)
        output = tail(command.log, offset)
        self.check_stopped()
        if process.returncode != 0:
            raise ChildError(f"{name} failed: {last_words(output)}. Log: {command.log}")
        return output

    async def wait(self) -> None:
        """Stay until a signal comes or a child is given up."""
        await self.stopped.wait()

    def check_stopped(self) -> None:
        """Leave a start sequence early when a signal came meanwhile."""
        if self.stopped.is_set():
            raise Stopped

    async def shut_down(self) -> int:
        """End all children stage by stage; the exit code of the whole."""
        self.stopped.set()
        for child in self.children:
            child.stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await in_stages(self.children, self._end)
        if self._failure is not None:
            print(f"smartflow: {self._failure}", file=sys.stderr, flush=True)
            return 1
        return 0

    async def _end(self, child: Child) -> bool:
        polite = await child.stop(self.hurry)
        if not polite:
            say(f"{child.spec.name} did not end in time and was killed")
        return polite

    async def _keep(self, child: Child) -> None:
        try:
            await child.keep()
        except Fault as fault:
            if not child.spec.essential:
                say(f"{fault} Going on without it.")
            elif not self.stopped.is_set():
                self._failure = self._failure or fault
                self.stopped.set()

    async def _unless_stopped(self, *starts: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(start) for start in starts]
        watch = asyncio.create_task(self.stopped.wait())
        try:
            waiting = set(tasks)
            while waiting:
                done, _ = await asyncio.wait({*waiting, watch}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {watch}:
                    task.result()
                waiting -= done
                self.check_stopped()
        finally:
            watch.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(watch, *tasks, return_exceptions=True)

    def _signalled(self) -> None:
        if self.stopped.is_set():
            say("hurrying: running requests are cut off")
            self.hurry.set()
            return
        say("stopping (again to hurry)")
        self.stopped.set()

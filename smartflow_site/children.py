# SPDX-License-Identifier: Apache-2.0
"""One supervised child: how it is started, watched, restarted and recognised after a crash."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from smartflow_site.process import Command, Fault, command_line, end_all, launch, rotate, tail

BACKOFF = (0.2, 0.5, 1.0, 2.0, 4.0)
WINDOW_S = 60.0
HEALTH_EVERY_S = 5.0
HEALTH_MISSES = 3


class ChildError(Fault):
    """A child that cannot be kept running; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A row of the table of children; lower `stop_stage` ends first, equal ones together."""

    name: str
    command: Callable[[], Command]
    stop_stage: int
    stop_seconds: float = 10.0
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    explain: Callable[[str], str] | None = None
    busy: Callable[[str], bool] = lambda _log: False
    watched: bool = False
    essential: bool = True
    restarts: int = 5


@dataclass(slots=True)
class Child:
    """The life of one spec; `stopping` is set before we end it ourselves."""

    spec: Spec
    pids: Path
    say: Callable[[str], None]
    process: subprocess.Popen[bytes] | None = None
    stopping: bool = False
    offset: int = 0
    deaths: list[float] = field(default_factory=list)

    async def start(self) -> None:
        """Start and wait until ready; ChildError says in a sentence why it is not."""
        give_up = time.monotonic() + 10
        while True:
            await asyncio.to_thread(self.spec.prepare)
            self._launch()
            if self.spec.ready is None or await self._wait_ready():
                return
            log = self._log()
            if self._running():
                await self._end(self._command_signal(), 5)
                raise ChildError(
                    f"{self.spec.name} was not ready within {self.spec.ready_seconds:.0f} s.{self._where()}"
                )
            if self.stopping or not self.spec.busy(log) or time.monotonic() > give_up:
                raise ChildError(self._why(log))
            await asyncio.sleep(0.3)

    async def keep(self) -> None:
        """Restart the child whenever it ends by itself; ChildError when that does not help."""
        while not self.stopping:
            if self._running() and not await self._healthy():
                self.say(f"{self.spec.name} does not answer: it is restarted")
                await self._end(self._command_signal(), 5)
            if self._running():
                await asyncio.sleep(0.1)
                continue
            if not self.stopping:
                await self._restart()

    async def stop(self, hurry: asyncio.Event | None = None) -> bool:
        """End the child; True when it went by itself within its time."""
        self.stopping = True
        return await self._end(self._command_signal(), self.spec.stop_seconds, hurry)

    async def _restart(self) -> None:
        now = time.monotonic()
        self.deaths = [moment for moment in self.deaths if now - moment < WINDOW_S] + [now]
        log = self._log()
        if len(self.deaths) > self.spec.restarts:
            raise ChildError(f"{self._why(log)} It ended {len(self.deaths)} times within a minute.")
        pause = BACKOFF[min(len(self.deaths), len(BACKOFF)) - 1]
        self.say(f"{self.spec.name} ended ({self._ending()}): restarting in {pause:g} s")
        await asyncio.sleep(pause)
        if self.stopping:
            return
        try:
            await self.start()
        except Fault as fault:
            self.say(str(fault))
            return
        self.say(f"{self.spec.name} runs again")

    def _launch(self) -> None:
        command = self.spec.command()
        rotate(command.log)
        self.offset = command.log.stat().st_size if command.log.exists() else 0
        try:
            self.process = launch(command)
        except OSError as fault:
            raise ChildError(
                f"{self.spec.name} cannot be started: {fault.strerror}: {fault.filename}."
            ) from fault
        remember(self.pids / f"{self.spec.name}.pid", self.process.pid, command.stop_signal)

    async def _wait_ready(self) -> bool:
        assert self.spec.ready is not None  # noqa: S101 - asked by the only caller
        began = time.monotonic()
        told = began
        while self._running() and time.monotonic() - began < self.spec.ready_seconds:
            if await asyncio.to_thread(self.spec.ready):
                return self._running()
            if time.monotonic() - told > 5:
                told = time.monotonic()
                self.say(f"waiting for {self.spec.name} ({told - began:.0f} s)")
            await asyncio.sleep(0.05)
        return False

    async def _healthy(self) -> bool:
        """Several misses in a row, each some seconds apart: one slow answer is not an illness."""
        if not self.spec.watched or self.spec.ready is None:
            return True
        for _ in range(HEALTH_MISSES):
            until = time.monotonic() + HEALTH_EVERY_S
            while time.monotonic() < until:
                await asyncio.sleep(0.1)
                if self.stopping or not self._running():
                    return True
            if await asyncio.to_thread(self.spec.ready):
                return True
        return False

    async def _end(
        self, stop_signal: signal.Signals, seconds: float, hurry: asyncio.Event | None = None
    ) -> bool:
        if self.process is None or not self._running():
            return True
        self.process.send_signal(stop_signal)
        until = time.monotonic() + seconds
        while self._running() and time.monotonic() < until and not (hurry and hurry.is_set()):  # noqa: ASYNC110
            await asyncio.sleep(0.03)
        polite = not self._running()
        if not polite:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        forget(self.pids / f"{self.spec.name}.pid")
        return polite

    def _running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _command_signal(self) -> signal.Signals:
        return self.spec.command().stop_signal

    def _log(self) -> str:
        return tail(self.spec.command().log, self.offset)

    def _where(self) -> str:
        return f" Log: {self.spec.command().log}"

    def _why(self, log: str) -> str:
        if self.spec.explain is not None:
            return self.spec.explain(log) + self._where()
        return f"{self.spec.name} ended ({self._ending()}): {last_words(log)}.{self._where()}"

    def _ending(self) -> str:
        code = self.process.returncode if self.process is not None else None
        return signal.Signals(-code).name if code is not None and code < 0 else f"code {code}"


def last_words(log: str) -> str:
    """The line of a log that most likely says why: the last one that is not indented."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    said = re.sub(r"^smartflow: ", "", lines[-1]) if lines else "it said nothing"
    return said[:300].rstrip(".")


def remember(path: Path, pid: int, stop_signal: signal.Signals) -> None:
    """Note a child so that a later run recognises it; its start time tells it from a stranger with its number."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"pid": pid, "born": birth(pid), "signal": int(stop_signal)}), encoding="utf-8"
    )


def forget(path: Path) -> None:
    """Drop the note of a child that has ended."""
    path.unlink(missing_ok=True)


def birth(pid: int) -> str:
    """When a process began, as boot id and clock ticks; empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"


def end_leftovers(pids: Path, say: Callable[[str], None]) -> None:
    """End the children that a killed supervisor left; only processes that are proven to be those."""
    for path in sorted(pids.glob("*.pid")):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            note = json.loads(path.read_text(encoding="utf-8"))
            pid, born, stop_signal = int(note["pid"]), str(note["born"]), signal.Signals(int(note["signal"]))
            if born and birth(pid) == born and command_line(pid):
                say(f"ending {path.stem} of an earlier run (process {pid})")
                _end_one(pid, born, stop_signal)
        forget(path)


def _end_one(pid: int, born: str, stop_signal: signal.Signals) -> None:
    def living() -> list[int]:
        return [pid] if birth(pid) == born else []

    try:
        end_all(living, stop_signal, 30)
    except (TimeoutError, PermissionError) as fault:
        raise ChildError(f"Process {pid} of an earlier run cannot be ended: {fault}.") from fault


async def in_stages(children: list[Child], end: Callable[[Child], Awaitable[bool]]) -> None:
    """Apply `end` to all children, one stop stage after the other."""
    for stage in sorted({child.spec.stop_stage for child in children}):
        await asyncio.gather(*(end(child) for child in children if child.spec.stop_stage == stage))

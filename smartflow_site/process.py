# SPDX-License-Identifier: Apache-2.0
"""Child processes: started so that they never outlive us unnoticed, stopped politely, found again after a crash."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smartflow_site.secretfile import private_folder

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 10 * 1024 * 1024
_LOGS_KEPT = 3


class Fault(Exception):  # noqa: N818 - it is what its sentence says, not a defect of the program
    """Something a person can put right; the text is one sentence for the console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start and how to end it; `env` is the whole environment of the child."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    uid: int | None = None
    pass_fds: tuple[int, ...] = ()


def launch(command: Command) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own, its output appended to its log; it gets its stop signal if we die."""
    private_folder(command.log.parent)
    with command.log.open("ab") as log:
        return subprocess.Popen(
            command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=command.pass_fds,
            user=command.uid,
            group=command.uid,
            extra_groups=None if command.uid is None else [],
            preexec_fn=_die_with_parent(command.stop_signal),  # noqa: PLW1509 - it calls one prepared C function
        )


def _die_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """The hook that runs between fork and exec; None where the system has no such call."""
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: loading a library in the child could wait for a lock nobody holds any more.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return hook


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, seconds: float) -> bool:
    """Ask the process to end and wait; after the deadline it is killed. True when it ended by itself."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def holders(folder: Path) -> list[int]:
    """Ids of live processes whose working directory is the folder: stores keep theirs in their data."""
    found = []
    for entry in _proc_entries():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{entry}/cwd") == str(folder.resolve()) and not _is_zombie(entry):
                found.append(entry)
    return found


def command_line(pid: int) -> tuple[str, ...]:
    """The argv of a live process; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0"))


def end_all(find: Callable[[], Iterable[int]], polite: signal.Signals, seconds: float) -> None:
    """End every process that `find` names: politely first, by force in the last third of the time."""
    start = time.monotonic()
    asked: set[tuple[int, int]] = set()
    while pids := list(find()):
        spent = time.monotonic() - start
        if spent > seconds:
            raise TimeoutError(f"process {pids[0]} does not end")
        wanted = polite if spent < seconds * 2 / 3 else signal.SIGKILL
        for pid in pids:
            if (pid, wanted) not in asked:
                asked.add((pid, wanted))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, wanted)
        time.sleep(0.05)


def rotate(log: Path) -> None:
    """Move a log that has grown large aside, keeping the last few."""
    if not log.exists() or log.stat().st_size < _LOG_LIMIT:
        return
    for number in range(_LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, offset: int = 0, limit: int = 16384) -> str:
    """The end of a log, from the offset on at most the last `limit` bytes."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - limit, 0))
            return file.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _proc_entries() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

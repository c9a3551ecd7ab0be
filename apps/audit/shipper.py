# SPDX-License-Identifier: Apache-2.0
"""The shipper: a small process beside gateways that brings their journals into PostgreSQL; never Django."""

import contextlib
import fcntl
import logging
import os
import signal
import threading
import time
from pathlib import Path

import psycopg

from apps.audit import segments
from apps.audit.ingest import POISON, Ingest, Progress, rows_of
from apps.audit.segments import Batch, Folder, Line

log = logging.getLogger("smartflow.shipper")

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 5.0
BATCH_LINES = 2000
BATCH_BYTES = 8 * 1024 * 1024
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)
UNBORN_SECONDS = 60.0


class Shipper:
    """Ships all journals under a folder; state in memory is one batch, everything else is on disk."""

    def __init__(self, database_url: str, journal_dir: Path) -> None:
        self._url = database_url
        self._root = journal_dir
        self._ingest: Ingest | None = None
        self._folders: dict[str, Folder] = {}
        self._failures = 0
        self._last_seen = 0.0

    def run(self, stop: threading.Event) -> None:
        """Ship until told to stop, then ship what is there and return."""
        while not stop.is_set():
            if not self.step():
                stop.wait(POLL_SECONDS if not self._failures else self._pause())
        while self._failures == 0 and self.step():
            pass
        self.close()

    def step(self) -> bool:
        """One batch of every journal; True when there may be more at once. Database faults are waited out."""
        try:
            more = self._ship_all()
        except (psycopg.Error, OSError) as fault:
            self._trouble(fault)
            return False
        if self._failures:
            log.warning("shipping again after %d failed tries", self._failures)
            self._failures = 0
        return more

    def close(self) -> None:
        """Give up the connection; what was not acknowledged is shipped by the next run."""
        if self._ingest is not None:
            with contextlib.suppress(psycopg.Error):
                self._ingest.close()
            self._ingest = None

    def _ship_all(self) -> bool:
        names = segments.leases(self._root)
        self._folders = {name: self._folders.get(name) or Folder(self._root / name) for name in names}
        more = False
        for folder in list(self._folders.values()):
            more |= self._ship(folder)
        self._heartbeat()
        return more

    def _ship(self, folder: Folder) -> bool:
        # Asked first: what a dead process wrote is complete, a living one may add while we read.
        dead = folder.dead()
        batch = folder.read(BATCH_LINES, BATCH_BYTES, dead=dead)
        if batch.moved or batch.mark.segment != folder.mark.segment:
            begun = folder.mark.position
            self._write(folder, batch)
            full = len(batch.lines) >= BATCH_LINES or batch.mark.position - begun >= BATCH_BYTES
            return full or dead
        if dead:
            self._finish(folder)
        return False

    def _write(self, folder: Folder, batch: Batch) -> None:
        for note in batch.notes:
            log.warning("journal %s: %s", folder.lease, note)
        if batch.damaged:
            self._set_aside(folder, batch.damaged, "whose checksum is wrong")
        begun = folder.mark.position
        behind = max(0, folder.behind() - (batch.mark.position - begun))
        progress = Progress(folder.lease, batch.mark.position, behind, len(batch.damaged))
        refused = self._insert(batch.lines, progress)
        if refused:
            self._set_aside(folder, refused, "that the database does not take")
        folder.acknowledge(batch.mark)

    def _insert(self, lines: list[Line], progress: Progress) -> list[bytes]:
        """Insert lines; those that fail on their own account are found by halving and returned."""
        rows = rows_of(lines)
        refused = [_raw(line) for line in rows.refused]
        note = Progress(progress.lease, progress.position, progress.behind, progress.set_aside + len(refused))
        try:
            self._connected().ship(rows, note)
        except POISON as fault:
            if len(lines) <= 1:
                log.error("journal %s: a line was refused: %s", progress.lease, type(fault).__name__)
                self._connected().seen(
                    [Progress(progress.lease, progress.position, progress.behind, progress.set_aside + 1)]
                )
                return [_raw(line) for line in lines]
            middle = len(lines) // 2
            first = Progress(progress.lease, lines[middle - 1].position, progress.behind, progress.set_aside)
            last = Progress(progress.lease, progress.position, progress.behind)
            return [*self._insert(lines[:middle], first), *self._insert(lines[middle:], last)]
        return refused

    def _finish(self, folder: Folder) -> None:
        """All of a dead process's journal is shipped: close what it left open, and the journal."""
        progress = Progress(folder.lease, folder.mark.position, 0, closed=True)
        open_ones = self._connected().close_lease(progress)
        log.info("journal %s is complete; %d exchanges were interrupted", folder.lease, open_ones)
        folder.remove()
        self._folders.pop(folder.lease, None)

    def _heartbeat(self) -> None:
        now = time.monotonic()
        fresh = [folder for folder in self._folders.values() if not folder.seen]
        if now - self._last_seen < HEARTBEAT_SECONDS and not fresh:
            return
        live = [
            Progress(folder.lease, folder.mark.position, folder.behind()) for folder in self._folders.values()
        ]
        if live:
            self._connected().seen(live)
        for folder in self._folders.values():
            folder.seen = True
        self._last_seen = now
        segments.clear_unborn(self._root, time.time() - UNBORN_SECONDS)

    def _connected(self) -> Ingest:
        if self._ingest is None:
            self._ingest = Ingest(self._url)
        return self._ingest

    def _set_aside(self, folder: Folder, lines: list[bytes], why: str) -> None:
        path = segments.set_aside(self._root, folder.lease, lines)
        log.error("journal %s: %d lines %s were set aside in %s", folder.lease, len(lines), why, path)

    def _trouble(self, fault: Exception) -> None:
        if self._failures == 0:
            # The text of a database error may repeat values: its kind is enough.
            log.warning("cannot ship (%s); trying again until it works", _kind(fault))
        self._failures += 1
        self.close()

    def _pause(self) -> float:
        return BACKOFF[min(self._failures, len(BACKOFF)) - 1]


def run(*, database_url: str, journal_dir: Path) -> int:
    """Ship the journals of this folder until SIGTERM or SIGINT, one process at a time; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    journal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(journal_dir / ".shipper", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _alone(fd, stop):
            Shipper(database_url, journal_dir).run(stop)
    finally:
        os.close(fd)
    return 0


def _alone(fd: int, stop: threading.Event) -> bool:
    """Wait for the folder's lock; False when told to stop before it was free."""
    told = False
    while not stop.is_set():
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                log.info("another shipper works on this folder; waiting for it to end")
                told = True
            stop.wait(0.5)
        else:
            return True
    return False


def _raw(line: Line) -> bytes:
    return line.kind + b" " + line.payload


def _kind(fault: Exception) -> str:
    state = getattr(fault, "sqlstate", None)
    return f"{type(fault).__name__} {state}" if state else type(fault).__name__


def main() -> int:
    """Run from the two settings it needs: DATABASE_URL and SMARTFLOW_VAR."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    missing = [name for name in ("DATABASE_URL", "SMARTFLOW_VAR") if not os.environ.get(name)]
    if missing:
        log.error("%s must be set.", " and ".join(missing))
        return 2
    return run(
        database_url=os.environ["DATABASE_URL"], journal_dir=Path(os.environ["SMARTFLOW_VAR"]) / "journal"
    )


if __name__ == "__main__":
    raise SystemExit(main())

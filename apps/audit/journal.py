# SPDX-License-Identifier: Apache-2.0
"""The journal of one gateway process: append-only segment files that survive the process.

Layout: `<folder>/<lease>/<number>.seg`, lines `crc32 SP kind SP json LF`, the checksum (8 hex digits) over
`kind SP json`. The process holds `<lease>/lock` with flock(2) for as long as it lives; a new lease folder
appears under its name only once that lock is held, so whoever finds it unlocked knows the process is gone.
"""

import asyncio
import collections
import errno
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Literal
from zlib import crc32

Mode = Literal["process", "strict", "closed"]

OPEN, DONE, BODY, NOTE = b"open", b"done", b"body", b"note"
SEGMENT_BYTES = 16 * 1024 * 1024
SEGMENT_SECONDS = 5.0
SYNC_SECONDS = 1.0
TAIL_BYTES = 16 * 1024 * 1024
_SLICE = 64
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_SEEDS = {kind: crc32(kind + b" ") for kind in (OPEN, DONE, BODY, NOTE)}


class JournalError(Exception):
    """The journal cannot be written; the text is one sentence for a person."""


def segment_name(number: int) -> str:
    """The file name of a segment; names sort as their numbers."""
    return f"{number:012d}.seg"


def line_of(kind: bytes, payload: bytes) -> bytes:
    """One line of a segment; the payload is JSON without line breaks."""
    return b"%08x %b %b\n" % (crc32(payload, _SEEDS[kind]), kind, payload)


class Journal:
    """Append-only lines of one process; written from one event loop, synchronised by one thread of its own.

    `process`: a line is in the page cache when `write` returns (survives `kill -9`) and on disk within about
    a second. `strict`: `flush` returns once everything written before is on disk, one fsync for all who wait.
    `closed`: as `process`, but a line that cannot be written raises. In the other modes such lines stay in a
    bounded memory tail that is tried again every second; what does not fit there is counted in `lost`.
    """

    def __init__(self, folder: Path, lease: str, mode: Mode = "process") -> None:
        self.lease = lease
        self.mode: Mode = mode
        self.folder = folder / lease
        self.failures = 0
        self.lost = 0
        self.reason = ""
        self._lock = threading.Lock()
        self._wake = threading.Condition(threading.Lock())
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_bytes = 0
        self._lost_noted = 0
        self._retired: list[int] = []
        self._fd = -1
        self._number = self._size = self._base = 0
        self._torn = self._dirty = self._closing = self._closed = self._sync_failed = False
        self._since: float | None = None
        try:
            self._lock_fd = self._make_folder(folder)
        except OSError as fault:
            raise JournalError(
                f"The journal cannot be made in {folder}: {fault.strerror or fault}."
            ) from fault
        self._thread = threading.Thread(target=self._run, name=f"journal {lease}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> Literal["ok", "failing"]:
        """Whether the last line went to the file."""
        return "failing" if self._tail or self.reason or self._sync_failed else "ok"

    @property
    def behind(self) -> int:
        """Lines that wait in memory for the file to be writable."""
        return len(self._tail)

    @property
    def position(self) -> int:
        """Bytes of all segments so far, those that still wait in memory included."""
        return self._base + self._size + self._tail_bytes

    def write(self, kind: bytes, payload: bytes) -> None:
        """Append a line before returning; JournalError when that fails in mode `closed`, or after `close`."""
        line = line_of(kind, payload)
        with self._lock:
            if self._closed:
                raise JournalError("The journal is closed: this process is ending.")
            if not self._tail:
                try:
                    self._append(line)
                except OSError as fault:
                    self._note_failure(fault)
                    if self.mode == "closed":
                        raise JournalError(f"The journal cannot be written: {self.reason}.") from fault
                else:
                    self.reason = ""
                    return
            self._keep(line)

    async def flush(self) -> None:
        """In mode `strict`: return once all lines written so far are on disk, else JournalError."""
        if self.mode != "strict":
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._wake:
            if self._closing:
                raise JournalError("The journal is closed: this process is ending.")
            self._waiters.append((loop, done))
            self._wake.notify()
        await done

    def close(self) -> None:
        """Write what waits, synchronise, give up the lease's lock; safe to call twice."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        self._thread.join()
        with self._lock:
            self._closed = True
            self._retire()
        self._synchronise()
        os.close(self._lock_fd)

    def _make_folder(self, root: Path) -> int:
        """The lease's folder with its lock held and its first segment, visible in one step; the lock's fd."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = root / f".{self.lease}"
        hidden.mkdir(mode=0o700)
        lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._number = 1
        self._fd = os.open(hidden / segment_name(1), _FLAGS, 0o600)
        hidden.rename(self.folder)
        _sync_folder(root)
        return lock

    def _append(self, line: bytes) -> None:
        if self._torn or self._size >= SEGMENT_BYTES:
            self._rotate()
        written = os.write(self._fd, line)
        if written == len(line):
            self._size += written
            self._dirty = True
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            # The rest of a line stays: readers drop it because it has no end, and we go on in a new file.
            self._size += written
            self._torn = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _rotate(self) -> None:
        """Begin the next segment; the old one is never written again and is synchronised by the thread."""
        fd = os.open(self.folder / segment_name(self._number + 1), _FLAGS, 0o600)
        self._retire()
        self._number += 1
        self._base += self._size
        self._fd, self._size, self._torn, self._since = fd, 0, False, None

    def _retire(self) -> None:
        self._retired.append(self._fd)
        self._fd = -1

    def _keep(self, line: bytes) -> None:
        if self._tail_bytes + len(line) > TAIL_BYTES:
            self.lost += 1
            return
        self._tail.append(line)
        self._tail_bytes += len(line)

    def _note_failure(self, fault: OSError) -> None:
        self.failures += 1
        self.reason = fault.strerror or "unknown fault"

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiters or self._closing, timeout=SYNC_SECONDS)
                waiters, self._waiters = self._waiters, []
                closing = self._closing
            if self._tail:
                self._retry()
            self._rotate_by_age()
            fault = self._synchronise()
            if fault is None and self._tail:
                fault = self.reason
            for loop, done in waiters:
                loop.call_soon_threadsafe(_settle, done, fault)
            if closing:
                return

    def _retry(self) -> None:
        """Write the tail in slices, so that the event loop never waits long for the lock."""
        while self._tail:
            with self._lock:
                try:
                    for _ in range(min(_SLICE, len(self._tail))):
                        self._append(self._tail[0])
                        self._tail_bytes -= len(self._tail.popleft())
                except OSError as fault:
                    self._note_failure(fault)
                    return
        with self._lock:
            self.reason = ""
            if self.lost > self._lost_noted:
                self._lost_noted = self.lost
                self._keep(line_of(NOTE, b'{"lost":%d}' % self.lost))

    def _rotate_by_age(self) -> None:
        if self._size == 0:
            return
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= SEGMENT_SECONDS:
            with self._lock:
                try:
                    self._rotate()
                except OSError as fault:
                    self._note_failure(fault)

    def _synchronise(self) -> str | None:
        """Everything written so far to disk; the reason when that failed. Never holds the lock while it waits."""
        with self._lock:
            retired, self._retired = self._retired, []
            current = os.dup(self._fd) if self._dirty and self._fd >= 0 else -1
            self._dirty = False
        fault: str | None = None
        for fd in [*retired, *([current] if current >= 0 else [])]:
            try:
                os.fdatasync(fd)
            except OSError as error:
                fault = error.strerror or "unknown fault"
            os.close(fd)
        try:
            if retired:
                _sync_folder(self.folder)
        except OSError as error:
            fault = error.strerror or "unknown fault"
        if fault is not None:
            self.failures += 1
        self._sync_failed = fault is not None
        return fault


def _settle(done: "asyncio.Future[None]", fault: str | None) -> None:
    if done.done():
        return
    if fault is None:
        done.set_result(None)
    else:
        done.set_exception(JournalError(f"The journal cannot be written to disk: {fault}."))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

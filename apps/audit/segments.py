# SPDX-License-Identifier: Apache-2.0
"""Journals as the shipper reads them: whole lines with their positions, what was read so far, who still lives."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

# A body of the largest request and answer, as base64, fits; anything longer is not ours.
MAX_LINE = 256 * 1024 * 1024
_ACK = "shipped.json"
DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a journal was read: a byte of a segment, and the same counted over all segments."""

    segment: int = 1
    offset: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is as it was written; `position` is where it ends."""

    kind: bytes
    payload: bytes
    position: int


@dataclass(slots=True)
class Batch:
    """Lines read in one go, the mark after them, and raw lines that are damaged."""

    mark: Mark
    lines: list[Line] = field(default_factory=list)
    damaged: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether there is anything to write down."""
        return bool(self.lines or self.damaged or self.notes)


class Folder:
    """The journal of one lease on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lease = path.name
        # Whether the database knows of it yet.
        self.seen = False
        self.mark = self._read_ack()

    def dead(self) -> bool:
        """Whether the process that wrote it is gone; its lock is then free."""
        try:
            fd = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(fd)

    def segments(self) -> list[int]:
        """The numbers of the segments that are there, ascending."""
        return sorted(int(name[:-4]) for name in os.listdir(self.path) if name.endswith(".seg"))

    def behind(self) -> int:
        """Bytes that are written and not yet acknowledged."""
        total = 0
        for number in self.segments():
            with contextlib.suppress(FileNotFoundError):
                size = self._segment(number).stat().st_size
                total += max(0, size - self.mark.offset if number == self.mark.segment else size)
        return total

    def read(self, most_lines: int, most_bytes: int, *, dead: bool) -> Batch:
        """The next lines after the mark, over segments; in a dead journal a torn end is dropped with a note."""
        batch = Batch(self.mark)
        present = self.segments()
        for number in (one for one in present if one >= self.mark.segment):
            if number != batch.mark.segment:
                batch.mark = Mark(number, 0, batch.mark.position)
            complete = dead or number < present[-1]
            self._read_segment(batch, most_lines, most_bytes, complete=complete)
            if len(batch.lines) >= most_lines or batch.mark.position - self.mark.position >= most_bytes:
                break
        return batch

    def acknowledge(self, mark: Mark) -> None:
        """Remember durably that everything up to the mark is in the database; drop segments before it."""
        temporary = self.path / f".{_ACK}"
        text = json.dumps({"v": 1, "segment": mark.segment, "offset": mark.offset, "position": mark.position})
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path / _ACK)
        self.mark = mark
        read = [number for number in self.segments() if number < mark.segment]
        if read:
            # The note must outlive what it speaks of.
            _sync_folder(self.path)
        for number in read:
            self._segment(number).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder of a dead and wholly shipped journal."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _segment(self, number: int) -> Path:
        return self.path / f"{number:012d}.seg"

    def _read_ack(self) -> Mark:
        try:
            found = json.loads((self.path / _ACK).read_text(encoding="utf-8"))
            return Mark(int(found["segment"]), int(found["offset"]), int(found["position"]))
        except (FileNotFoundError, ValueError, KeyError):
            # Read again from the start: what is in the database already stays as it is.
            return Mark()

    def _read_segment(self, batch: Batch, most_lines: int, most_bytes: int, *, complete: bool) -> None:
        with contextlib.suppress(FileNotFoundError), self._segment(batch.mark.segment).open("rb") as file:
            file.seek(batch.mark.offset)
            for raw in _raw_lines(file):
                mark = batch.mark
                if not raw.endswith(b"\n"):
                    if complete or len(raw) > MAX_LINE:
                        batch.notes.append(f"dropped {len(raw)} bytes of a line without an end")
                        batch.mark = Mark(mark.segment, mark.offset + len(raw), mark.position + len(raw))
                    return
                batch.mark = Mark(mark.segment, mark.offset + len(raw), mark.position + len(raw))
                line = parse(raw, batch.mark.position)
                if line is None:
                    batch.damaged.append(raw)
                else:
                    batch.lines.append(line)
                if len(batch.lines) >= most_lines or batch.mark.position - self.mark.position >= most_bytes:
                    return


def parse(raw: bytes, position: int) -> Line | None:
    """A line of a segment, None when its checksum or its form is wrong."""
    body = raw[9:-1]
    kind, space, payload = body.partition(b" ")
    try:
        sound = raw[8:9] == b" " and int(raw[:8], 16) == crc32(body)
    except ValueError:
        return None
    return Line(kind, payload, position) if sound and space else None


def set_aside(root: Path, lease: str, lines: list[bytes]) -> Path:
    """Keep lines that cannot be shipped in a file of their own, for a person to look at; the file."""
    folder = root / DAMAGED
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{lease}.lines"
    with path.open("ab") as file:
        for line in lines:
            file.write(line if line.endswith(b"\n") else line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def leases(root: Path) -> list[str]:
    """The leases with a journal under a folder, oldest first."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if name != DAMAGED and not name.startswith("."))


def unshipped(root: Path) -> int:
    """Bytes of all journals under a folder that are not in the database yet; cheap enough for every scrape."""
    total = 0
    for lease in leases(root):
        # A journal that was shipped to its end may go while we look.
        with contextlib.suppress(FileNotFoundError):
            total += Folder(root / lease).behind()
    return total


def clear_unborn(root: Path, older_than: float) -> None:
    """Remove folders whose process died before they got their name."""
    for path in root.glob(".ls_*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < older_than and Folder(path).dead():
                shutil.rmtree(path)


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends; the last one may have none, a longer one than MAX_LINE is cut."""
    while raw := file.readline(MAX_LINE + 1):
        yield raw


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

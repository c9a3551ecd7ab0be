# SPDX-License-Identifier: Apache-2.0
"""The journal under kill -9, full disks, rotation and its three modes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.audit import journal, stage
from apps.audit.domain import Record, State, decode_record
from apps.audit.journal import Journal, JournalError
from apps.audit.segments import Folder, parse
from apps.core import ids
from apps.core.outcome import Refuse

PATIENCE = 60

WRITER = """
import os, sys
from pathlib import Path
from apps.audit import stage
from apps.audit.domain import Record
from apps.audit.journal import Journal
from apps.core import ids
import asyncio

async def main():
    journal = Journal(Path(sys.argv[1]), sys.argv[2])
    while True:
        record = Record(id=ids.new("req"), organisation_id="org_a")
        await stage.record(journal, record)
        # Only what was journalled is told: the reader of this pipe is the client whose answer completed.
        os.write(1, record.id.encode() + b"\\n")

asyncio.run(main())
"""


def every_line(folder: Path) -> list[bytes]:
    """All lines of a journal, whole or not."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.seg"))).splitlines(keepends=True)


def payloads(folder: Path, kind: bytes) -> list[bytes]:
    """The payloads of one kind, each line checked."""
    found = [parse(raw, 0) for raw in every_line(folder)]
    assert None not in found
    return [line.payload for line in found if line is not None and line.kind == kind]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("after", [1, 50, 2000])
def test_what_was_told_before_kill_9_is_in_the_journal(journals: Path, after: int) -> None:
    """Seen red with `journal.write` left out of `stage.record`: nothing of what was told is found."""
    lease = ids.new("ls")
    argv = [sys.executable, "-c", WRITER, str(journals), lease]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    told: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        told.extend(process.stdout.readline().decode().strip() for _ in range(after))
        process.send_signal(signal.SIGKILL)
        told += [line.decode().strip() for line in process.stdout if line.endswith(b"\n")]
    folder = Folder(journals / lease)
    assert folder.dead()
    batch = folder.read(10**9, 10**9, dead=True)
    assert batch.damaged == []
    recorded = {decode_record(line.payload).id for line in batch.lines}
    assert len(told) >= after
    assert set(told) <= recorded


def test_a_living_journal_is_not_taken_for_a_dead_one(journals: Path) -> None:
    lease = ids.new("ls")
    book = Journal(journals, lease)
    folder = Folder(book.folder)
    assert not folder.dead()
    book.close()
    assert folder.dead()


async def test_a_finished_record_reads_as_it_was_written(
    journals: Path, make_record: Callable[..., Record]
) -> None:
    book = Journal(journals, ids.new("ls"))
    record = make_record(state=State.OPEN, tags=("a\nb", "c\x00d", 'e"f'), person_name="Zoë 😀")
    assert await stage.open_record(book, record) is None
    assert await stage.record(book, record) is None
    assert book.position == sum(len(line) for line in every_line(book.folder))
    book.close()
    opened, done = payloads(book.folder, journal.OPEN), payloads(book.folder, journal.DONE)
    assert decode_record(opened[0]).state is State.OPEN
    assert decode_record(done[0]) == record
    assert record.state is State.DONE


async def test_half_a_surrogate_from_a_client_costs_only_itself(
    journals: Path, make_record: Callable[..., Record]
) -> None:
    book = Journal(journals, ids.new("ls"))
    record = make_record(tags=("x\ud800y",))
    assert await stage.record(book, record) is None
    book.close()
    [line] = payloads(book.folder, journal.DONE)
    assert decode_record(line).tags == ("x?y",)
    assert decode_record(line).cost == record.cost
    assert decode_record(line).stages == record.stages


def test_segments_rotate_by_size_and_lose_nothing(journals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 1000)
    book = Journal(journals, ids.new("ls"))
    for number in range(200):
        book.write(journal.NOTE, b'{"number":%d}' % number)
    assert book.position == sum(len(line) for line in every_line(book.folder))
    book.close()
    assert len(list(book.folder.glob("*.seg"))) > 5
    assert payloads(book.folder, journal.NOTE) == [b'{"number":%d}' % number for number in range(200)]


def test_a_quiet_segment_is_rotated_by_age_and_an_empty_one_is_not(
    journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_SECONDS", 0.01)
    monkeypatch.setattr(journal, "SYNC_SECONDS", 0.02)
    book = Journal(journals, ids.new("ls"))
    book.write(journal.NOTE, b"{}")
    until(lambda: len(list(book.folder.glob("*.seg"))) == 2)
    time.sleep(0.3)
    assert len(list(book.folder.glob("*.seg"))) == 2
    book.close()


async def test_strict_waits_for_the_disk_and_one_sync_serves_many(
    journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd))[1])
    book = Journal(journals, ids.new("ls"), "strict")

    async def one(number: int) -> int:
        book.write(journal.NOTE, b'{"number":%d}' % number)
        before = len(synced)
        await book.flush()
        return len(synced) - before

    waited = await asyncio.gather(*(one(number) for number in range(100)))
    assert min(waited) >= 1
    assert len(synced) < 20
    book.close()


async def test_strict_says_so_when_the_disk_did_not_take_it(
    journals: Path, monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> None:
    book = Journal(journals, ids.new("ls"), "strict")

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    answer = await stage.record(book, make_record())
    assert isinstance(answer, Refuse)
    assert answer.status == 503
    assert book.failures >= 1
    assert book.state == "failing"
    monkeypatch.undo()
    assert await stage.record(book, make_record()) is None
    assert book.state == "ok"
    book.close()


FULL = """
import asyncio, json, os, resource, sys
from pathlib import Path
from apps.audit import journal, stage
from apps.audit.domain import Record
from apps.audit.journal import Journal
from apps.core import ids

async def main():
    book = Journal(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    written, refused = [], []
    async def some(count):
        for _ in range(count):
            record = Record(id=ids.new("req"), organisation_id="org_a", user_agent="x" * 200)
            (refused if await stage.record(book, record) else written).append(record.id)
    await some(10)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    # A real refusal of the kernel, half-way through a line.
    resource.setrlimit(resource.RLIMIT_FSIZE, (book.position + 500, hard))
    await some(10)
    during = [book.state, book.failures, book.behind]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    if sys.argv[3] == "process":
        while book.behind:
            await asyncio.sleep(0.05)
    await some(10)
    end = [book.state, book.behind, book.lost, book.position]
    book.close()
    print(json.dumps([written, refused, during, end]))

asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["process", "closed"])
def test_a_full_disk_is_survived_or_refused_and_never_leaves_half_a_line(journals: Path, mode: str) -> None:
    lease = ids.new("ls")
    argv = [sys.executable, "-c", FULL, str(journals), lease, mode]
    run = subprocess.run(
        argv,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, run.stderr.decode()
    written, refused, during, end = json.loads(run.stdout)
    recorded = [decode_record(raw).id for raw in payloads(journals / lease, journal.DONE)]
    assert recorded == written
    assert during[1] >= 1
    assert during[0] == "failing"
    assert end[:3] == ["ok", 0, 0]
    assert end[3] == sum(len(line) for line in every_line(journals / lease))
    assert len(refused) == (0 if mode == "process" else 9)
    assert during[2] == (9 if mode == "process" else 0)


def test_the_memory_tail_is_bounded_and_counts_what_it_lost(
    journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "TAIL_BYTES", 2000)
    book = Journal(journals, ids.new("ls"))

    def full(fd: int, line: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(200):
        book.write(journal.NOTE, b'{"text":"' + b"x" * 80 + b'"}')
    assert 0 < book.behind < 25
    assert book.behind + book.lost == 200
    monkeypatch.undo()
    until(lambda: book.behind == 0)
    book.close()
    assert b'{"lost":%d}' % book.lost in payloads(book.folder, journal.NOTE)


def test_a_closed_journal_takes_nothing_more(journals: Path) -> None:
    book = Journal(journals, ids.new("ls"))
    book.close()
    book.close()
    with pytest.raises(JournalError, match="ending"):
        book.write(journal.NOTE, b"{}")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot be made in .*/file: .+\.$"):
        Journal(tmp_path / "file", ids.new("ls"))


def test_the_journal_is_private(journals: Path) -> None:
    book = Journal(journals, ids.new("ls"))
    book.close()
    assert all(path.stat().st_mode & 0o077 == 0 for path in [journals, book.folder, *book.folder.iterdir()])

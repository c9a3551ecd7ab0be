# SPDX-License-Identifier: Apache-2.0
"""The supervisor with small real children: order, restart, giving up, and what a kill leaves behind."""

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

from smartflow_site.children import Child, ChildError, Spec, birth, end_leftovers, last_words, remember
from smartflow_site.process import Command, launch, rotate, stop
from smartflow_site.supervisor import Stopped, Supervisor, only_one

PATIENCE = 60
# Writes a line when it starts and one when it is asked to end.
WORKER = """
import signal, sys, time
def end(*_):
    print("end", sys.argv[1], file=open(sys.argv[2], "a"), flush=True)
    time.sleep(float(sys.argv[3]))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("start", sys.argv[1], file=open(sys.argv[2], "a"), flush=True)
while True:
    time.sleep(0.05)
"""
OWNER = """
import os, sys, time
from pathlib import Path
from smartflow_site.process import Command, launch
child = launch(Command(argv=(sys.executable, "-c", "import time; time.sleep(600)"), env=dict(os.environ), log=Path(sys.argv[1])))
print(child.pid, flush=True)
time.sleep(600)
"""


def worker(tmp_path: Path, name: str, stage: int, linger: float = 0.0, **more: object) -> Spec:
    journal = tmp_path / "journal"
    argv = (sys.executable, "-c", WORKER, name, str(journal), str(linger))
    command = Command(argv=argv, env=dict(os.environ), log=tmp_path / f"{name}.log")

    def ready() -> bool:
        return journal.exists() and f"start {name}\n" in journal.read_text()

    return Spec(**({"name": name, "command": lambda: command, "stop_stage": stage, "ready": ready} | more))  # type: ignore[arg-type]


def script(tmp_path: Path, name: str, code: str, **more: object) -> Spec:
    command = Command(argv=(sys.executable, "-c", code), env=dict(os.environ), log=tmp_path / f"{name}.log")
    return Spec(**({"name": name, "command": lambda: command, "stop_stage": 0} | more))  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


async def test_children_end_stage_by_stage(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.start(worker(tmp_path, "store", 2))
    await supervisor.start(worker(tmp_path, "server", 0, linger=0.3), worker(tmp_path, "shipper", 1))
    assert await supervisor.shut_down() == 0
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines[0] == "start store"
    assert lines[3:] == ["end server", "end shipper", "end store"]
    assert all(child.process is not None and child.process.returncode == 0 for child in supervisor.children)
    assert list(supervisor.pids.iterdir()) == []


async def test_a_killed_child_is_restarted(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.start(worker(tmp_path, "server", 0))
    child = supervisor.children[0]
    assert child.process is not None
    first = child.process.pid
    child.process.kill()
    await until(
        lambda: child.process is not None and child.process.pid != first and child.process.poll() is None
    )
    await until(lambda: (tmp_path / "journal").read_text().count("start server") == 2)
    assert not supervisor.stopped.is_set()
    assert await supervisor.shut_down() == 0


async def test_a_child_that_keeps_dying_is_given_up_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(tmp_path)
    steady = worker(tmp_path, "steady", 1)
    await supervisor.start(steady, script(tmp_path, "shaky", "raise SystemExit('no such luck')", restarts=2))
    await asyncio.wait_for(supervisor.wait(), PATIENCE)
    assert await supervisor.shut_down() == 1
    said = capsys.readouterr().err
    assert said.startswith("smartflow: shaky ended (code 1): no such luck.")
    assert "3 times within a minute" in said
    assert (tmp_path / "journal").read_text().endswith("end steady\n")


async def test_a_child_that_is_not_essential_is_left_behind(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.start(script(tmp_path, "extra", "raise SystemExit(3)", restarts=1, essential=False))
    await until(lambda: all(keeper.done() for keeper in supervisor._keepers))
    assert not supervisor.stopped.is_set()
    assert await supervisor.shut_down() == 0


async def test_a_child_that_never_gets_ready_is_ended_and_named(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    spec = worker(tmp_path, "mute", 0, ready=lambda: False, ready_seconds=0.5)
    with pytest.raises(ChildError, match=r"^mute was not ready within 0 s\.|^mute was not ready"):
        await supervisor.start(spec)
    process = supervisor.children[0].process
    assert process is not None
    assert process.poll() is not None


async def test_a_store_that_stops_answering_is_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartflow_site.children.HEALTH_EVERY_S", 0.05)
    answers = tmp_path / "answers"
    answers.touch()
    supervisor = Supervisor(tmp_path)
    await supervisor.start(
        script(tmp_path, "store", "import time; time.sleep(600)", ready=answers.exists, watched=True)
    )
    child = supervisor.children[0]
    assert child.process is not None
    first = child.process
    answers.unlink()
    await until(lambda: first.poll() is not None)
    answers.touch()
    await until(
        lambda: child.process is not None and child.process.pid != first.pid and child.process.poll() is None
    )
    assert await supervisor.shut_down() == 0


async def test_a_second_signal_hurries(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.listen_to_signals()
    await supervisor.start(worker(tmp_path, "slow", 0, linger=500, stop_seconds=500))
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(supervisor.wait(), PATIENCE)
    down = asyncio.create_task(supervisor.shut_down())
    await until(lambda: "end slow" in (tmp_path / "journal").read_text())
    assert not down.done()
    os.kill(os.getpid(), signal.SIGINT)
    assert await asyncio.wait_for(down, PATIENCE) == 0
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


async def test_a_signal_during_the_start_ends_what_runs(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.start(worker(tmp_path, "store", 1))
    starting = asyncio.create_task(supervisor.start(worker(tmp_path, "server", 0, ready=lambda: False)))
    await until(lambda: "start server" in ((tmp_path / "journal").read_text()))
    supervisor.stopped.set()
    with pytest.raises(Stopped):
        await asyncio.wait_for(starting, PATIENCE)
    assert await supervisor.shut_down() == 0
    assert (tmp_path / "journal").read_text().splitlines()[2:] == ["end server", "end store"]


async def test_a_step_that_fails_says_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    code = "import sys; print('Traceback', flush=True); sys.exit('ValueError: the table is gone')"
    command = Command(argv=(sys.executable, "-c", code), env=dict(os.environ), log=tmp_path / "step.log")
    with pytest.raises(ChildError, match=r"^migrating failed: ValueError: the table is gone\. Log: "):
        await supervisor.step("migrating", command)


def test_two_supervisors_of_one_folder_do_not_run(tmp_path: Path) -> None:
    refused = pytest.raises(ChildError, match=rf"already runs from .* \(process {os.getpid()}\)")
    with only_one(tmp_path), refused, only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "log")], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    assert birth(child)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + PATIENCE
    while birth(child):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.02)


def test_leftovers_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    command = Command(
        argv=(sys.executable, "-c", "import time; time.sleep(600)"),
        env=dict(os.environ),
        log=tmp_path / "log",
    )
    leftover, stranger = launch(command), launch(command)
    pids = tmp_path / "run"
    remember(pids / "leftover.pid", leftover.pid, signal.SIGTERM)
    remember(pids / "stranger.pid", stranger.pid, signal.SIGTERM)
    note = json.loads((pids / "stranger.pid").read_text())
    (pids / "stranger.pid").write_text(json.dumps(note | {"born": note["born"] + "0"}))
    (pids / "garbage.pid").write_text("12 34")
    said: list[str] = []
    end_leftovers(pids, said.append)
    assert leftover.wait(PATIENCE) == -signal.SIGTERM
    assert stranger.poll() is None
    assert said == [f"ending leftover of an earlier run (process {leftover.pid})"]
    assert list(pids.iterdir()) == []
    stop(stranger, signal.SIGTERM, PATIENCE)


def test_a_grown_log_is_moved_aside_and_three_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for number in range(6):
        with log.open("wb") as file:
            file.truncate(11 * 1024 * 1024 + number)
        rotate(log)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "server.log.1",
        "server.log.2",
        "server.log.3",
    ]
    assert (tmp_path / "server.log.1").stat().st_size == 11 * 1024 * 1024 + 5


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Traceback (most recent call last):\n  File\nValueError: bad\n", "ValueError: bad"),
        ("smartflow: REDIS_URL is missing.\n", "REDIS_URL is missing"),
        ("", "it said nothing"),
    ],
)
def test_last_words_are_the_reason(log: str, words: str) -> None:
    assert last_words(log) == words


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = Command(argv=("/nowhere/postgres",), env={}, log=tmp_path / "log")
    child = Child(Spec(name="store", command=lambda: command, stop_stage=0), tmp_path / "run", print)
    with pytest.raises(
        ChildError, match="store cannot be started: No such file or directory: /nowhere/postgres"
    ):
        asyncio.run(child.start())

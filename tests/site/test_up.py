# SPDX-License-Identifier: Apache-2.0
"""The whole machine by its one command: start, refuse, recover, end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
import redis

from smartflow_site.children import birth
from smartflow_site.env import ROOT
from smartflow_site.process import free_port, holders
from smartflow_site.up import get

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
PATIENCE = 200


class Machine:
    """One `manage.py up` and what can be seen of it from outside."""

    def __init__(self, var: Path, port: int, checkout: Path = ROOT, prefix: Sequence[str] = ()) -> None:
        self.var = var
        self.port = port
        self.said = var.parent / "console"
        environment = {"PATH": os.environ["PATH"], "SMARTFLOW_LOCAL_MODEL": "off", "SMARTFLOW_VAR": str(var)}
        with self.said.open("wb") as console:
            argv = [*prefix, sys.executable, "manage.py", "up", "--port", str(port)]
            self.process = subprocess.Popen(
                argv, env=environment, stdout=console, stderr=console, cwd=checkout
            )

    def until_ready(self) -> "Machine":
        until(
            lambda: "ready on" in self.said.read_text() or self.process.poll() is not None,
            self.said.read_text,
        )
        assert self.process.poll() is None, self.said.read_text()
        return self

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        return self.outcome()

    def outcome(self) -> tuple[int, str]:
        return self.process.wait(PATIENCE), self.said.read_text()

    def children(self) -> dict[str, int]:
        notes = (self.var / "run").glob("*.pid")
        return {note.stem: int(note.read_text().split('"pid": ')[1].split(",")[0]) for note in notes}

    def addresses(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.var / "stores.env").read_text().splitlines())

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.addresses()["DATABASE_OWNER_URL"], connect_timeout=30) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def until(condition: Callable[[], bool], explain: Callable[[], str] = lambda: "it never happened") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def answers(url: str) -> bool:
    client = redis.Redis.from_url(url)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    """Starts machines on one var folder and one port; none is left behind."""
    started: list[Machine] = []
    port = free_port()

    def begin() -> Machine:
        started.append(Machine(tmp_path / "var", port))
        return started[-1]

    yield begin
    for machine in started:
        if machine.process.poll() is None:
            machine.end()


def test_it_answers_keeps_its_data_and_leaves_nothing_running(start: Callable[[], Machine]) -> None:
    machine = start().until_ready()
    # Two servers share the port, and the second one may be ready a little later.
    until(lambda: get("127.0.0.1", machine.port, "/readyz")[0] == 200)
    children = machine.children()
    assert {"PostgreSQL", "Valkey", "server-1", "server-2", "worker"} <= set(children)
    machine.rows("create table kept as select 1 as n")
    code, said = machine.end()
    assert (code, said.splitlines()[-1]) == (0, "smartflow: stopped")
    assert not [name for name, pid in children.items() if birth(pid)]
    assert not (machine.var / "stores.env").exists()
    again = start().until_ready()
    assert again.rows("select n from kept") == [(1,)]
    assert again.end()[0] == 0


def test_a_second_one_is_refused_and_the_first_goes_on(start: Callable[[], Machine]) -> None:
    first = start().until_ready()
    children = first.children()
    second = Machine(first.var, free_port())
    code, said = second.outcome()
    assert code == 1
    assert said.startswith(
        f"smartflow: Smartflow already runs from {first.var} (process {first.process.pid})"
    )
    assert said.count("\n") == 1
    assert first.children() == children
    assert get("127.0.0.1", first.port, "/readyz")[0] == 200


def test_it_recovers_after_its_supervisor_was_killed(start: Callable[[], Machine]) -> None:
    first = start().until_ready()
    first.rows("create table kept as select 1 as n")
    children = first.children()
    first.process.kill()
    first.process.wait()
    second = start().until_ready()
    assert not [name for name, pid in children.items() if birth(pid)]
    assert second.rows("select n from kept") == [(1,)]
    assert second.end()[0] == 0


@pytest.mark.parametrize("name", ["PostgreSQL", "Valkey", "server-1", "worker"])
def test_a_killed_child_comes_back(start: Callable[[], Machine], name: str) -> None:
    machine = start().until_ready()
    victim = machine.children()[name]
    os.kill(victim, signal.SIGKILL)
    until(lambda: machine.children().get(name, victim) != victim, machine.said.read_text)
    until(lambda: f"{name} runs again" in machine.said.read_text(), machine.said.read_text)
    assert machine.rows("select 1") == [(1,)]
    until(lambda: answers(machine.addresses()["REDIS_URL"]))
    until(lambda: get("127.0.0.1", machine.port, "/readyz")[0] == 200)
    code, said = machine.end()
    assert (code, said.splitlines()[-1]) == (0, "smartflow: stopped")


def test_a_busy_port_is_one_sentence(start: Callable[[], Machine], tmp_path: Path) -> None:
    first = start().until_ready()
    other = tmp_path / "other"
    other.mkdir()
    code, said = Machine(other / "var", first.port).outcome()
    assert code == 1
    assert said.startswith(f"smartflow: Port {first.port} on 127.0.0.1 is in use")
    assert said.count("\n") == 1


def test_a_broken_store_is_one_sentence_and_the_other_is_ended(start: Callable[[], Machine]) -> None:
    machine = start().until_ready()
    machine.end()
    (machine.var / "postgres" / "global" / "pg_control").write_bytes(b"broken")
    code, said = start().outcome()
    # A slow machine says in between how far it is.
    sentences = [line for line in said.splitlines() if not line.endswith(" s)")]
    assert code == 1
    assert len(sentences) == 1
    assert sentences[0].startswith("smartflow: PostgreSQL does not start from")
    assert holders(machine.var / "valkey") == []


def test_an_ordinary_user_runs_it_from_a_private_folder_with_a_space(tmp_path: Path) -> None:
    checkout = tmp_path / "smart flow"
    checkout.mkdir(mode=0o700)
    for name in ("apps", "smartflow_site", "static", "templates"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "manage.py", checkout)
    # Root runs it as a user of its own namespace, where it has no more rights than the owner of the folder.
    inside = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if os.geteuid() == 0 else []
    machine = Machine(checkout / "var", free_port(), checkout, inside).until_ready()
    # Two servers share the port, and the second one may be ready a little later.
    until(lambda: get("127.0.0.1", machine.port, "/readyz")[0] == 200)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "smart flow", machine.var)] == [0o700, 0o700]
    code, said = machine.end()
    assert (code, said.splitlines()[-1]) == (0, "smartflow: stopped")

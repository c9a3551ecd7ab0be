# SPDX-License-Identifier: Apache-2.0
"""One role in the foreground: inherited socket, drain, and what it needs."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smartflow_site import ports
from smartflow_site.up import get

PATIENCE = 60
RUN = """
import sys
from smartflow_site.env import load
from smartflow_site.serve import serve
sys.exit(serve(load(), fd=int(sys.argv[1]), application="tests.site.stub_app:application"))
"""


@contextmanager
def server(tmp_path: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server process on an inherited socket; it answers before the block begins."""
    listening = ports.bind("127.0.0.1", 0)
    ports.listen(listening)
    port = listening.getsockname()[1]
    environment = {
        **os.environ,
        "SMARTFLOW_VAR": str(tmp_path),
        "SERVICE_TYPE": "gateway",
        "PYTHONPATH": os.getcwd(),
    }
    environment |= {"REDIS_URL": "redis://127.0.0.1:1/0", **settings}
    argv = [sys.executable, "-c", RUN, str(listening.fileno())]
    process = subprocess.Popen(argv, env=environment, pass_fds=[listening.fileno()])
    listening.close()
    try:
        deadline = time.monotonic() + PATIENCE
        while get("127.0.0.1", port, "/")[0] != 200:
            assert time.monotonic() < deadline
            assert process.poll() is None
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_a_running_answer_is_finished_before_the_process_ends(tmp_path: Path) -> None:
    with server(tmp_path) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/slow")
        answer = connection.getresponse()
        assert answer.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert answer.read() == f"{process.pid}\n".encode()
        connection.close()
        assert process.wait(PATIENCE) in {0, -signal.SIGTERM}


def test_it_is_unready_before_it_stops_accepting(tmp_path: Path) -> None:
    with server(tmp_path, SMARTFLOW_DRAIN_WAIT_S="60") as (process, port):
        assert get("127.0.0.1", port, "/readyz")[0] == 200
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE / 2
        while get("127.0.0.1", port, "/readyz")[0] != 503:
            assert time.monotonic() < deadline
        assert get("127.0.0.1", port, "/")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE / 2) in {0, -signal.SIGTERM}


@pytest.mark.parametrize(
    ("role", "missing"),
    [("gateway", ["REDIS_URL"]), ("shipper", ["DATABASE_URL"]), ("worker", ["DATABASE_URL", "REDIS_URL"])],
)
def test_a_role_without_its_stores_is_refused_by_name(tmp_path: Path, role: str, missing: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--role", role],
        env={"PATH": os.environ["PATH"], "SMARTFLOW_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"smartflow: {name} is missing; role {role} needs it." for name in missing
    ]


def test_a_worker_told_to_stop_before_it_began_does_not_wait_for_its_clock(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from celery.signals import worker_shutting_down
from smartflow_site.worker_process import attach_beat
attach_beat(Path("schedule"))
worker_shutting_down.send(sender=None)
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), "SMARTFLOW_VAR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, timeout=PATIENCE)

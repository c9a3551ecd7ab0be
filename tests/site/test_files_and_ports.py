# SPDX-License-Identifier: Apache-2.0
"""Secrets on disk and the listening socket."""

import socket
import threading
from pathlib import Path

import pytest

from smartflow_site import ports
from smartflow_site.secretfile import keep_secret, write_private


def test_a_secret_is_made_once_by_whoever_is_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.key"
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(keep_secret(path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) == 48
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["a.key"]


def test_an_empty_secret_is_not_a_secret(tmp_path: Path) -> None:
    (tmp_path / "a.key").touch()
    made = keep_secret(tmp_path / "a.key")
    assert made
    assert keep_secret(tmp_path / "a.key") == made


def test_a_private_file_replaces_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_busy_port_is_named_with_a_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            ports.PortError, match=rf"Port {port} on 127\.0\.0\.1 is in use; .* SMARTFLOW_PORT={port + 1}"
        ):
            ports.bind("127.0.0.1", port)


def test_a_port_taken_between_bind_and_listen_is_named_too() -> None:
    mine = ports.bind("127.0.0.1", 0)
    with mine, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(mine.getsockname())
        other.listen()
        with pytest.raises(ports.PortError, match="is in use"):
            ports.listen(mine)


@pytest.mark.parametrize(
    ("host", "sentence"), [("203.0.113.1", "not an address of this machine"), ("a..b", "not an")]
)
def test_a_foreign_address_is_named(host: str, sentence: str) -> None:
    with pytest.raises(ports.PortError, match=sentence):
        ports.bind(host, 0)


def test_nothing_is_accepted_before_listening() -> None:
    mine = ports.bind("127.0.0.1", 0)
    with mine, socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(mine.getsockname())


def test_a_descriptor_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ports.PortError, match="is not a socket"):
        ports.inherited(file.fileno())
    with pytest.raises(ports.PortError, match="is not open"):
        ports.inherited(987)

# SPDX-License-Identifier: Apache-2.0
"""The contract of the store adapters, held by two providers each."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from smartflow_site.process import command_line, holders, stop
from smartflow_site.stores import Postgres, StoreError, Valkey, run_store
from smartflow_site.stores.postgres import APP, OWNER, SUPERUSER

FULL = """
import sys
from pathlib import Path
from smartflow_site.stores import *
store = Postgres if sys.argv[1] == "postgres" else Valkey
try:
    process = run_store(store(Path(sys.argv[2])))
except StoreError as fault:
    print(fault)
    raise SystemExit(3)
process.kill()
"""


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, connect_timeout=30) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_postgres_keeps_data_through_stop_and_start(postgres: Postgres) -> None:
    first = run_store(postgres)
    query(postgres.url(OWNER), "create table kept as select 1 as n")
    assert query(postgres.url(APP), "select n from kept") == [(1,)]
    assert stop(first, signal.SIGINT, 60)
    second = run_store(postgres)
    assert query(postgres.url(APP), "select n from kept") == [(1,)]
    assert stop(second, signal.SIGINT, 60)


def test_postgres_has_vectors_privileges_and_no_tcp(postgres: Postgres) -> None:
    server = run_store(postgres)
    assert query(postgres.url(OWNER), "select '[1,2]'::vector <-> '[1,4]'::vector") == [(2.0,)]
    query(postgres.url(OWNER), "create table seen as select 1 as n")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(postgres.url(APP), "create table mine (n int)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(postgres.url(APP), "truncate seen")
    settings = query(
        postgres.url(SUPERUSER), "select current_setting('listen_addresses'), current_setting('fsync')"
    )
    assert settings == [("", "on")]
    assert query(
        postgres.url(OWNER), "select count(*) from pg_roles where rolname ~ '^smartflow' and rolbypassrls"
    ) == [(0,)]
    wrong = postgres.url(APP).replace(postgres.url(APP).split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(wrong, "select 1")
    stop(server, signal.SIGINT, 60)


def test_postgres_leaves_permissions_alone(postgres: Postgres, var: Path) -> None:
    before = [(folder, folder.stat().st_mode) for folder in (var, *var.parents)]
    stop(run_store(postgres), signal.SIGINT, 60)
    assert [(folder, folder.stat().st_mode) for folder, _ in before] == before
    if os.geteuid() == 0:
        assert postgres.data.stat().st_uid == 0, "in a namespace the files stay root's"


def test_postgres_comes_back_after_everything_was_killed(postgres: Postgres) -> None:
    server = run_store(postgres)
    query(postgres.url(OWNER), "create table kept as select generate_series(1, 100) as n")
    server.kill()
    server.wait()
    again = run_store(postgres)
    assert query(postgres.url(OWNER), "select count(*) from kept") == [(100,)]
    stop(again, signal.SIGINT, 60)


def test_postgres_takes_over_from_a_server_that_still_runs(postgres: Postgres) -> None:
    left_behind = run_store(postgres)
    again = run_store(Postgres(postgres.var, binaries=postgres._source))
    assert left_behind.wait(60) is not None
    assert query(postgres.url(), "select 1") == [(1,)]
    stop(again, signal.SIGINT, 60)


def test_postgres_is_not_fooled_by_a_stranger_with_the_old_number(postgres: Postgres) -> None:
    stop(run_store(postgres), signal.SIGINT, 60)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (postgres.data / "postmaster.pid").write_text(f"{stranger.pid}\n{postgres.data}\n")
    server = run_store(postgres)
    assert stranger.poll() is None, "the stranger was not touched"
    stop(server, signal.SIGINT, 60)
    stop(stranger, signal.SIGTERM, 10)


def test_postgres_says_what_is_wrong_with_its_data(postgres: Postgres) -> None:
    stop(run_store(postgres), signal.SIGINT, 60)
    (postgres.data / "global" / "pg_control").write_bytes(b"broken")
    with pytest.raises(StoreError, match=r"^PostgreSQL does not start from .*: .*pg_control") as caught:
        run_store(postgres)
    assert "\n" not in str(caught.value)


def test_postgres_refuses_a_folder_that_is_not_its_own(postgres: Postgres) -> None:
    postgres.data.mkdir()
    (postgres.data / "diary.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not a PostgreSQL data folder"):
        run_store(postgres)
    assert (postgres.data / "diary.txt").read_text() == "mine"


def test_a_first_start_that_was_killed_is_begun_again(postgres: Postgres) -> None:
    (postgres.var / "postgres.new" / "base").mkdir(parents=True)
    server = run_store(postgres)
    assert not (postgres.var / "postgres.new").exists()
    stop(server, signal.SIGINT, 60)


def test_passwords_are_in_no_argument_and_no_log(postgres: Postgres, valkey: Valkey) -> None:
    secrets = [path.read_text().strip() for path in (postgres.var / "secrets").glob("*.password")]
    servers = [(run_store(postgres), signal.SIGINT), (run_store(valkey), signal.SIGTERM)]
    secrets += [path.read_text().strip() for path in (postgres.var / "secrets").glob("*.password")]
    assert len(set(secrets)) == 4
    said = postgres.log.read_text() + valkey.log.read_text()
    said += " ".join(word for server, _ in servers for word in command_line(server.pid))
    assert not [secret for secret in secrets if secret in said]
    for path in (postgres.var / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    for server, number in servers:
        stop(server, number, 60)


def test_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    var = tmp_path / ("long" * 25)
    postgres = Postgres(var)
    server = run_store(postgres)
    assert query(postgres.url(), "select 1") == [(1,)]
    folder = postgres._socket_folder()
    assert not folder.is_relative_to(var)
    assert folder.stat().st_mode & 0o777 == 0o700
    stop(server, signal.SIGINT, 60)
    folder.rmdir()


def test_valkey_keeps_data_through_kill_and_start(valkey: Valkey) -> None:
    first = run_store(valkey)
    client = redis.Redis.from_url(valkey.url())
    client.set("kept", "1")
    client.close()
    assert stop(first, signal.SIGTERM, 60)
    second = run_store(valkey)
    second.kill()
    second.wait()
    third = run_store(valkey)
    client = redis.Redis.from_url(valkey.url())
    assert client.get("kept") == b"1"
    settings = (
        client.config_get("maxmemory-policy") | client.config_get("appendonly") | client.config_get("bind")
    )
    assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "bind": "127.0.0.1"}
    client.close()
    stop(third, signal.SIGTERM, 60)


def test_valkey_wants_its_password(valkey: Valkey) -> None:
    server = run_store(valkey)
    port = int(valkey.url().rpartition(":")[2].split("/")[0])
    client = redis.Redis(host="127.0.0.1", port=port)
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    client.close()
    stop(server, signal.SIGTERM, 60)


def test_valkey_takes_another_port_when_its_own_was_taken(valkey: Valkey) -> None:
    stop(run_store(valkey), signal.SIGTERM, 60)
    port = int(valkey.url().rpartition(":")[2].split("/")[0])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        server = run_store(valkey)
        assert f":{port}/" not in valkey.url()
    stop(server, signal.SIGTERM, 60)


def test_valkey_takes_over_from_a_server_that_still_runs(valkey: Valkey) -> None:
    left_behind = run_store(valkey)
    again = run_store(Valkey(valkey.var, binary=valkey._binary))
    assert left_behind.wait(60) is not None
    assert holders(valkey.data) == [again.pid]
    stop(again, signal.SIGTERM, 60)


def test_valkey_says_what_is_wrong_with_its_data(valkey: Valkey) -> None:
    stop(run_store(valkey), signal.SIGTERM, 60)
    for file in (valkey.data / "appendonlydir").glob("*.base.*"):
        file.write_bytes(b"not what was written here" * 40)
    with pytest.raises(StoreError, match=r"^Valkey does not start from ") as caught:
        run_store(valkey)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("store", "size"), [("postgres", "20m"), ("valkey", "16k")])
def test_a_full_disk_is_named(store: str, size: str, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    namespace = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    script = 'mount -t tmpfs -o size="$1",mode=700 none "$2" && shift 2 && exec "$@"'
    argv = [
        *namespace,
        "sh",
        "-c",
        script,
        "sh",
        size,
        str(folder),
        sys.executable,
        "-c",
        FULL,
        store,
        str(folder),
    ]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert done.returncode == 3, done.stderr
    assert "is full" in done.stdout
    assert done.stdout.count("\n") == 1

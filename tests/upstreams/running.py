# SPDX-License-Identifier: Apache-2.0
"""An upstream in a process of its own, for tests and the bench."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartflow_site.env import ROOT
from smartflow_site.process import stop

# Upstreams speak plain HTTP; a context that trusts nobody saves each client from reading the system's store.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running upstream: its address, its process, its log."""

    port: int
    pid: int
    log: Path
    base: str = "/v1"

    @property
    def root(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base address a provider is set up with."""
        return f"{self.root}{self.base}"

    def stats(self) -> dict[str, int]:
        """Open connections, requests, completed answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stats", timeout=10) as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def lines(self) -> list[dict[str, Any]]:
        """The log so far, one line per ended request."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def running(
    log: Path,
    *,
    server: str = "openai",
    port: int = 0,
    tls: tuple[Path, Path] | None = None,
    strict: bool = False,
    bodies: bool = False,
) -> Iterator[Upstream]:
    """Start an upstream, hand it over, stop it.

    `server` is openai, anthropic or gemini; `strict` makes the first one as strict as the others are; with `bodies`
    the log has what arrived; `tls` is a certificate and its key as PEM files.
    """
    argv = [sys.executable, "-m", f"tests.upstreams.{server}_server", "--port", str(port), "--log", str(log)]
    argv += ["--strict"] * (strict and server == "openai") + ["--bodies"] * bodies
    if tls is not None:
        argv += ["--certificate", str(tls[0]), "--key", str(tls[1])]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening "):
            raise RuntimeError(f"the upstream did not start: {line!r}")
        yield Upstream(int(line.split()[1]), process.pid, log, "/v1beta" if server == "gemini" else "/v1")
    finally:
        stop(process, signal.SIGTERM, 10)  # type: ignore[arg-type]
        assert process.stdout is not None
        process.stdout.close()

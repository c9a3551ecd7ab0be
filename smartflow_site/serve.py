# SPDX-License-Identifier: Apache-2.0
"""One role in this process, in the foreground: what a pod runs, and what the supervisor starts."""

import asyncio
import importlib
import importlib.util
import logging
import os
import socket
from types import FrameType
from typing import Any

import uvicorn
from typing_extensions import override

from smartflow_site import ports
from smartflow_site.env import Env, require

HTTP_ROLES = {"all", "gateway", "control", "compliance"}
APPLICATION = "smartflow_site.asgi:application"
_NEEDS = {
    "all": ("database_url", "redis_url"),
    "gateway": ("redis_url",),
    "control": ("database_url", "redis_url"),
    "compliance": ("database_url", "redis_url"),
    "worker": ("database_url", "redis_url"),
    "beat": ("redis_url",),
    "shipper": ("database_url",),
}


class DrainingServer(uvicorn.Server):
    """Tells the application to become unready, waits, and only then stops accepting."""

    def __init__(self, config: uvicorn.Config, wait_s: int) -> None:
        super().__init__(config)
        self._wait_s = wait_s
        self._draining = False

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain; second: end at once."""
        begin = getattr(self.config.loaded_app, "begin_drain", None)
        if not self._draining and begin is not None:
            begin()
        if self._draining or self._wait_s == 0:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._wait_s, super().handle_exit, sig, frame)


def serve(env: Env, *, fd: int | None = None, with_beat: bool = False, application: str = APPLICATION) -> int:
    """Run the role named by the settings until a signal comes."""
    require(env, *_NEEDS[env.service_type])
    if env.service_type in HTTP_ROLES:
        return _serve_http(env, fd, application)
    if env.service_type == "shipper":
        return _ship(env)
    # Celery and Django: never loaded by a gateway.
    from smartflow_site import worker_process

    return (
        worker_process.run_beat(env)
        if env.service_type == "beat"
        else worker_process.run_worker(env, with_beat=with_beat)
    )


def _ship(env: Env) -> int:
    # A server process has no use for it.
    from apps.audit import shipper

    logging.basicConfig(level=env.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return shipper.run(database_url=env.database_url, journal_dir=env.journal_dir)


def _serve_http(env: Env, fd: int | None, application: str) -> int:
    os.environ["SERVICE_TYPE"] = env.service_type
    listening = ports.inherited(fd) if fd is not None else ports.bind(env.host, env.port)
    if fd is None:
        ports.listen(listening)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=_protocol(),
        lifespan="auto",
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level=env.log_level,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=env.drain_deadline_s,
    )
    server = DrainingServer(config, env.drain_wait_s)
    _run(server, listening)
    return 0 if server.started else 1


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    server.run(sockets=[listening])


def _protocol() -> Any:
    """The guarded HTTP protocol where it exists; it closes what uvicorn leaves open to endless headers."""
    if importlib.util.find_spec("smartflow_site.edge") is None:
        return "httptools"
    return importlib.import_module("smartflow_site.edge").GuardedProtocol

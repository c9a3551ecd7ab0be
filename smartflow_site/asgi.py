# SPDX-License-Identifier: Apache-2.0
"""The composition root: one application that hands each request to the half that answers it, by exact path prefix."""

import functools
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apps.core import errors, ids, keyring
from apps.gateway.asgi import Gateway
from apps.gateway.rooms import Config, Rooms
from smartflow_site.env import Env, load_or_exit
from smartflow_site.health import Health

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

DATA_PLANE = ("/v1", "/v1beta", "/mcp", "/a2a", "/.well-known")
HEALTH = ("/healthz", "/readyz", "/metrics")
_WITH_DJANGO = {"all", "control", "compliance"}
_WITH_GATEWAY = {"all", "gateway"}


class Application:
    """ASGI 3 callable of one role; the server calls `begin_drain` when it is told to stop."""

    def __init__(self, env: Env) -> None:
        self.rooms = Rooms(_config(env)) if env.service_type in _WITH_GATEWAY else None
        self.gateway = Gateway(self.rooms) if self.rooms is not None else None
        self.pages = _django() if env.service_type in _WITH_DJANGO else None
        self.only = "/api/compliance" if env.service_type == "compliance" else ""
        self.health = Health(env.service_type, self.rooms, _probe if self.pages is not None else None)

    def begin_drain(self) -> None:
        """Readiness goes off from now on."""
        self.health.draining = True
        if self.rooms is not None:
            self.rooms.begin_drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by the kind of connection and the path as it was sent."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:
            # No endpoint speaks WebSocket yet.
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path in HEALTH:
            await self.health(scope, receive, send)
        elif _under(path, DATA_PLANE):
            await (self.gateway or _nothing)(scope, receive, send)
        elif self.pages is not None and (not self.only or _under(path, (self.only,))):
            await self.pages(scope, receive, send)
        else:
            await _nothing(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if self.rooms is not None:
                    await self.rooms.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                if self.rooms is not None:
                    await self.rooms.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _under(path: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a path is one of some prefixes or lies below one; a longer word is neither."""
    return path in prefixes or path.startswith(_below(prefixes))


@functools.cache
def _below(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix + "/" for prefix in prefixes)


def _config(env: Env) -> Config:
    return Config(
        redis_url=env.redis_url,
        ring=keyring.load(env.key_ring, env.key_ring_path),
        var=env.var,
        role=env.service_type,
        journal_mode=env.journal_mode,  # type: ignore[arg-type]  # env.py admits only the three modes
        max_stale_s=env.max_stale_s,
        max_body_bytes=env.max_body_bytes,
        upstream_client=env.upstream_client,
        outbound_allow=env.outbound_allow,
        trusted_proxies=env.trusted_proxies,
        cors_origins=env.cors_origins,
        drain_deadline_s=env.drain_deadline_s,
    )


def _django() -> App:
    """Django behind its own ASGI handler; imported only by the roles that serve pages."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartflow_site.settings")
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def _probe() -> str:
    """Why the pages cannot be served, empty when they can."""
    from django.db import DatabaseError, connection

    try:
        connection.ensure_connection()
    except DatabaseError:
        return "PostgreSQL does not answer"
    finally:
        connection.close()
    return ""


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """404 for paths that this role does not serve."""
    row = errors.TABLE["not_found"]
    body = errors.openai_body("not_found", f"{row.meaning} {row.remedy}")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", ids.new("req").encode()),
    ]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


application = Application(load_or_exit())

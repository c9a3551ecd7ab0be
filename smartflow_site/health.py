# SPDX-License-Identifier: Apache-2.0
"""`/healthz`, `/readyz` and `/metrics` of every role, outside Django."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

from apps.audit import segments
from apps.gateway.rooms import Rooms

PROBE_SECONDS = 2


class Health:
    """Says whether this process lives, whether it should get requests, and its figures."""

    def __init__(self, role: str, rooms: Rooms | None, probe: Callable[[], str] | None) -> None:
        self._role, self._rooms, self._probe = role, rooms, probe
        self._probed = (0.0, "")
        self.draining = False

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer one of the three paths."""
        path = scope["path"]
        if path == "/metrics":
            await _send(send, 200, self._metrics(), b"text/plain; version=0.0.4; charset=utf-8")
        elif path == "/readyz":
            status, body = await self.readiness()
            await _send(send, status, json.dumps(body).encode())
        else:
            await _send(send, 200, json.dumps({"status": "alive", "role": self._role}).encode())

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and facts: 200 while this role can serve under the mode it degrades to."""
        reason, facts = ("draining" if self.draining else ""), {}
        if self._rooms is not None:
            await self._rooms.start()
            reason = reason or self._rooms.not_ready()
            age = self._rooms.snapshot.age
            facts = {
                "snapshot_age_s": round(age, 1) if age != float("inf") else None,
                "redis": "up" if self._rooms.redis.up else "down",
                "journal": self._rooms.journal.state if self._rooms.journal is not None else "closed",
                "journal_mode": self._rooms.config.journal_mode,
            }
        elif not reason and self._probe is not None:
            reason = await self._asked(self._probe)
        status = "ready" if not reason else "not ready"
        return (503 if reason else 200), {
            "status": status,
            "reason": reason,
            "role": self._role,
            **facts,
        }

    async def _asked(self, probe: Callable[[], str]) -> str:
        """Why the pages cannot be served; asked at most every two seconds."""
        at, reason = self._probed
        if monotonic() - at > PROBE_SECONDS or not at:
            reason = await asyncio.to_thread(probe)
            self._probed = (monotonic(), reason)
        return reason

    def _metrics(self) -> bytes:
        if self._rooms is None:
            return b""
        # Of the whole folder, whoever wrote it: a process that died adds nothing to its own figures any more.
        waiting = segments.unshipped(self._rooms.config.var / "journal")
        return self._rooms.metrics.text({"journal_unshipped_bytes": float(waiting)}).encode()


async def _send(
    send: Callable[[Any], Awaitable[None]], status: int, body: bytes, kind: bytes = b"application/json"
) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

# SPDX-License-Identifier: Apache-2.0
"""A small ASGI application that stands in for ours where only the process around it is tested."""

import asyncio
import os
from typing import Any

drained: list[str] = []


class Application:
    """Answers its process id; /slow takes a moment; /readyz turns 503 while draining."""

    def begin_drain(self) -> None:
        drained.append("yes")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        status = 503 if scope["path"] == "/readyz" and drained else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        if scope["path"] == "/slow":
            await send({"type": "http.response.body", "body": b"begun\n", "more_body": True})
            await asyncio.sleep(1)
        await send({"type": "http.response.body", "body": f"{os.getpid()}\n".encode()})


application = Application()

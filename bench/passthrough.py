# SPDX-License-Identifier: Apache-2.0
"""The floor for Python: a raw ASGI callable with our upstream client that governs nothing.

`python -m bench.passthrough --port PORT --json-url URL --sse-url URL`; requests under /sse/ go to the second.
"""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from apps.core import http

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class PassThrough:
    """Sends every body on and hands the answer back as it comes."""

    def __init__(self, json_url: str, sse_url: str, client: str) -> None:
        self._json_url, self._sse_url, self._client = json_url, sse_url, http.client(client)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        call = http.Call(
            url=self._sse_url if scope["path"].startswith("/sse/") else self._json_url,
            headers=(("content-type", "application/json"),),
            body=body,
            connect=5.0,
            silence=60.0,
            total=60.0,
            private_allowed=True,
        )
        answer = await self._client.send(call)
        kind = answer.header("content-type").encode()
        start = {"type": "http.response.start", "status": answer.status}
        if kind.startswith(b"text/event-stream"):
            await send({**start, "headers": [(b"content-type", kind)]})
            async for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        whole = await answer.read()
        length = str(len(whole)).encode()
        await send({**start, "headers": [(b"content-type", kind), (b"content-length", length)]})
        await send({"type": "http.response.body", "body": whole})


def main() -> None:
    """Serve with the settings our own server has."""
    parser = argparse.ArgumentParser(prog="bench.passthrough", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--json-url", required=True)
    parser.add_argument("--sse-url", required=True)
    parser.add_argument("--client", default="h1", choices=http.NAMES)
    options = parser.parse_args()
    uvicorn.run(
        PassThrough(options.json_url, options.sse_url, options.client),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )


if __name__ == "__main__":
    main()

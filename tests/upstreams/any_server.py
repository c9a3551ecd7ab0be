# SPDX-License-Identifier: Apache-2.0
"""A provider with any path: notes each request as it came and answers what a test has put there."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from typing_extensions import override


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered; `parts` are sent one by one, `gate` must be opened before each part after the first."""

    parts: tuple[bytes, ...] = (b'{"ok":true}',)
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


@dataclass
class AnyServer:
    """The running server: its address, what it saw, what it answers next."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    reply: Reply = field(default_factory=Reply)
    left: threading.Event = field(default_factory=threading.Event)

    def answers(self, value: Any, **more: Any) -> None:
        """Answer JSON."""
        self.reply = Reply((json.dumps(value).encode(),), **more)

    def streams(self, *events: Any, **more: Any) -> None:
        """Answer a stream, an event in each part; text is sent as it is."""
        told = [e if isinstance(e, str) else json.dumps(e) for e in events]
        self.reply = Reply(tuple(f"data: {e}\n\n".encode() for e in told), kind="text/event-stream", **more)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ClassVar[AnyServer]

    def _answer(self) -> None:
        owner, reply = self.owner, self.owner.reply
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.seen.append(Seen(self.command, self.path, headers, body))
        self.send_response(reply.status)
        self.send_header("content-type", reply.kind)
        self.send_header("transfer-encoding", "chunked")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for number, part in enumerate(reply.parts):
                if number and reply.gate is not None:
                    reply.gate.wait(60)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            owner.left.set()
            self.close_connection = True

    def __getattr__(self, name: str) -> Any:
        """Every method is answered alike."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def any_server() -> Iterator[AnyServer]:
    """Start one in a thread, hand it over, stop it."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found = AnyServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    handler.owner = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

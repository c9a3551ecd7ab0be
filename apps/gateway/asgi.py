# SPDX-License-Identifier: Apache-2.0
"""The raw ASGI callable of the data plane: limits, body, request id, disconnects, and the bytes of the answer."""

import asyncio
import contextlib
import functools
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

import msgspec

from apps.audit.domain import Verdict
from apps.core.errors import TABLE, openai_body
from apps.core.limits import BODY_SECONDS, MAX_EXCHANGES
from apps.core.outcome import Refuse
from apps.core.sse import KEEP_ALIVE
from apps.gateway import after, before, pipeline
from apps.gateway.exchange import Exchange, begin
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream, error_event
from apps.gateway.under_way import Handle

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]
GONE = "smartflow.gone"
ENDPOINTS = {"/v1/chat/completions": "POST", "/v1/models": "GET"}
_SINGLE = {b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding"}
_encode = msgspec.json.Encoder().encode


class GoneError(Exception):
    """The client left before its request was complete."""


class Gateway:
    """ASGI callable for `/v1`; works under any ASGI server, with or without lifespan events."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if not self.rooms.started:
            await self.rooms.start()
        headers, refusal = _headers(scope)
        exchange = begin(
            scope["path"],
            self._client_ip(scope, headers),
            headers.get(b"user-agent", b"")[:200].decode("latin-1"),
        )
        answer = _Answer(send, exchange, self._cors(headers))
        refusal = refusal or self._refusal(scope)
        if refusal is None:
            refusal = await before.identify(exchange, self.rooms, headers)
        if refusal is not None:
            await self._refuse(exchange, refusal, answer)
        elif scope["path"] == "/v1/models":
            await answer.whole(200, _models(exchange))
        else:
            await self._chat(exchange, scope, headers, receive, answer)

    async def _chat(
        self, exchange: Exchange, scope: Scope, headers: Headers, receive: Receive, answer: "_Answer"
    ) -> None:
        try:
            body = await self._body(headers, receive)
        except GoneError:
            return
        if isinstance(body, Refuse):
            await self._refuse(exchange, body, answer)
            return
        handle = self.rooms.under_way.begin(exchange.record.id)
        watcher = _watch(scope, receive, handle)
        try:
            await self._exchange(exchange, body, handle, answer)
        except asyncio.CancelledError:
            if not handle.cut:
                await asyncio.shield(self._ended_early(exchange, "shutdown", answer))
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await self._ended_early(exchange, handle.cut, answer)
        except Exception:
            self.rooms.metrics.count("internal_errors")
            refusal = Refuse(
                "internal_error", f"A fault of this gateway. Report request {exchange.record.id}."
            )
            await self._refuse(exchange, refusal, answer)
            raise
        finally:
            self.rooms.under_way.leave(exchange.record.id)
            if watcher is not None:
                watcher.cancel()

    async def _exchange(self, exchange: Exchange, body: bytes, handle: Handle, answer: "_Answer") -> None:
        """Run the pipeline, record before the last byte, settle after it."""
        reply = await pipeline.chat(exchange, self.rooms, body)
        if isinstance(reply, Refuse):
            await self._refuse(exchange, reply, answer)
            return
        if isinstance(reply, Stream):
            await answer.stream(reply, handle)
            after.settle(exchange, self.rooms, reply.delivered)
            return
        exchange.record.status = 200
        after.price(exchange)
        if unrecorded := await after.record(exchange, self.rooms):
            await answer.refuse(unrecorded)
        else:
            await answer.whole(200, reply.body)
        after.settle(exchange, self.rooms, reply.body)

    async def _refuse(self, exchange: Exchange, refusal: Refuse, answer: "_Answer") -> None:
        pipeline.refused(exchange, refusal)
        after.price(exchange)
        unrecorded = await after.record(exchange, self.rooms)
        await answer.refuse(unrecorded or refusal)
        after.settle(exchange, self.rooms)

    async def _ended_early(self, exchange: Exchange, why: str, answer: "_Answer") -> None:
        """The client left, or the process must stop: what was produced is recorded and charged."""
        code, text = (
            ("client_closed", "The client left.")
            if why == "client"
            else ("draining", "This process stops now.")
        )
        refusal = Refuse(code, f"{text} {TABLE[code].remedy}")
        if not exchange.recorded:
            pipeline.refused(exchange, refusal)
            exchange.record.verdict = Verdict.FAILED
            after.price(exchange)
            await after.record(exchange, self.rooms)
        if why != "client":
            await answer.end(refusal)
        after.settle(exchange, self.rooms)

    def _refusal(self, scope: Scope) -> Refuse | None:
        """Reasons to go no further that need no look at the caller."""
        method = ENDPOINTS.get(scope["path"])
        if method is None:
            return Refuse(
                "not_found",
                f"There is no endpoint {_short(scope['path'])}. Endpoints: {', '.join(ENDPOINTS)}.",
            )
        if scope["method"] != method:
            return Refuse(
                "method_not_allowed", f"{scope['path']} answers to {method}.", headers=(("allow", method),)
            )
        if self.rooms.draining:
            return Refuse(
                "draining",
                "This process is about to stop. Send the request again.",
                headers=(("retry-after", "1"),),
            )
        if len(self.rooms.under_way) >= MAX_EXCHANGES:
            return Refuse(
                "too_many_requests",
                "This process holds as many requests as it can.",
                headers=(("retry-after", "1"),),
            )
        return None

    async def _body(self, headers: Headers, receive: Receive) -> bytes | Refuse:
        kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
        if kind != b"application/json" or headers.get(b"content-encoding", b"identity") != b"identity":
            return Refuse(
                "unsupported_media_type", "Send `content-type: application/json` without a content encoding."
            )
        most = self.rooms.config.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        too_large = Refuse(
            "body_too_large",
            f"The body is larger than {most} bytes, the most this gateway accepts.",
            headers=(("connection", "close"),),
        )
        if not declared.isdigit() or int(declared) > most:
            return (
                too_large
                if declared.isdigit()
                else Refuse("invalid_header", "`content-length` must be a number.", "content-length")
            )
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return body if len(body) <= most else too_large
        parts = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    if message["type"] != "http.request":
                        raise GoneError
                    parts += message.get("body", b"")
                    if len(parts) > most:
                        return too_large
                    if not message.get("more_body"):
                        return bytes(parts)
                    message = await receive()
        except TimeoutError:
            return Refuse(
                "request_timeout",
                f"The body did not arrive within {BODY_SECONDS:.0f} s.",
                headers=(("connection", "close"),),
            )

    def _client_ip(self, scope: Scope, headers: Headers) -> str:
        """The client's address; forwarding headers count only from proxies that are trusted."""
        address = str((scope.get("client") or ("",))[0])
        trusted = self.rooms.config.trusted_proxies
        if not trusted or not _within(address, trusted):
            return address
        for part in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            candidate = part.strip()
            if candidate and not _within(candidate, trusted):
                return candidate[:45]
        return address

    def _cors(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        origin = headers.get(b"origin")
        if origin is None or origin.decode("latin-1") not in self.rooms.config.cors_origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"))


class _Answer:
    """Sends one answer, once."""

    def __init__(self, send: Send, exchange: Exchange, extra: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send, self._exchange, self._extra = send, exchange, extra
        self._started = self._ended = False

    async def whole(self, status: int, body: bytes) -> None:
        """A JSON answer with all our headers."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        _add_figures(self._exchange, headers)
        await self._start(status, headers)
        await self._last(body)

    async def refuse(self, refusal: Refuse) -> None:
        """An error answer, or an error event where a stream already began."""
        if self._started:
            await self.end(refusal)
            return
        body = openai_body(refusal.code, refusal.message, refusal.param)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in refusal.headers]
        await self._start(refusal.status, headers)
        await self._last(body)

    async def stream(self, reply: Stream, handle: Handle) -> None:
        """Events as they come."""
        await self._start(
            200,
            [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ],
        )
        handle.spoke_at = monotonic()
        handle.whisper = self._whisper
        events = reply.events()
        try:
            async for block in events:
                handle.spoke_at = monotonic()
                await self._send({"type": "http.response.body", "body": block, "more_body": True})
        finally:
            handle.whisper = None
            # Closed here and now: what the stream holds must not wait for the collector.
            await events.aclose()  # type: ignore[attr-defined]  # it is an async generator
        await self._last(b"")

    async def end(self, refusal: Refuse) -> None:
        """End an answer that must stop: with an error of its own, or an error event in a stream."""
        if not self._started:
            await self.refuse(refusal)
        elif not self._ended:
            await self._last(error_event(refusal))

    def _whisper(self) -> None:
        task = asyncio.ensure_future(
            self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
        )
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._started = True
        admission = self._exchange.admission
        if admission is not None:
            headers += admission.headers
        _add_facts(self._exchange, headers)
        headers += self._extra
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _last(self, body: bytes) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            await self._send({"type": "http.response.body", "body": body})


def _add_facts(exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
    """Headers that every data-plane answer carries."""
    record = exchange.record
    headers.append((b"x-request-id", record.id.encode()))
    if record.target:
        headers.append((b"x-smartflow-target", _ascii(record.target)))
    if record.model:
        headers.append((b"x-smartflow-model", _ascii(record.model)))
    if record.phases:
        headers.append((b"x-smartflow-cache-hit", record.cache_hit.encode() or b"none"))
    if record.cache_key:
        headers.append((b"x-smartflow-cache-key", record.cache_key.encode()))
    if record.bundle:
        acted = [f"{e.name} v{e.version}={e.action}" for e in record.evaluations if e.action != "allow"]
        headers.append((b"x-smartflow-policy", _ascii(", ".join(acted)) if acted else b"none"))


def _add_figures(exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
    record = exchange.record
    if exchange.request is not None:
        overhead = max(0, record.total_us - record.upstream_us)
        headers.append((b"x-smartflow-cost", f"{record.cost:f}".encode()))
        headers.append((b"x-smartflow-overhead-ms", b"%d.%03d" % divmod(overhead, 1000)))


def _models(exchange: Exchange) -> bytes:
    """The models a key may use in OpenAI's form, the default one first."""
    caller, view = exchange.caller, exchange.view
    assert caller is not None and view is not None  # noqa: S101, PT018 - identify came first
    rows = [
        {"id": model.name, "object": "model", "created": model.created_ms // 1000, "owned_by": "smartflow"}
        for model in view.allowed(caller.key.models)
    ]
    return _encode({"object": "list", "data": rows})


def _headers(scope: Scope) -> tuple[Headers, Refuse | None]:
    """Headers by name; a second value for one that must be single is refused."""
    found: Headers = {}
    for name, value in scope["headers"]:
        if name in _SINGLE and name in found and found[name] != value:
            code = "conflicting_credentials" if name in {b"authorization", b"x-api-key"} else "invalid_header"
            return found, Refuse(
                code, f"The header `{name.decode()}` came twice with different values; send one."
            )
        found[name] = value
    return found, None


def _watch(scope: Scope, receive: Receive, handle: Handle) -> "asyncio.Task[None] | None":
    """Have the exchange ended when its client is gone; servers with our guard tell, others must be watched."""
    gone = (scope.get("extensions") or {}).get(GONE)
    if gone is not None:
        gone[:] = [lambda: handle.end("client")]
        return None

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        handle.end("client")

    return asyncio.create_task(wait())


def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)
    except ValueError:
        return False


@functools.lru_cache(maxsize=4096)
def _ascii(text: str) -> bytes:
    """A name as a header can carry it; the same few names come with every request."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:500].encode()


def _short(path: str) -> str:
    return path[:100] if path.isprintable() else "of this name"

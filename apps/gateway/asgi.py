# SPDX-License-Identifier: Apache-2.0
"""The raw ASGI callable of the data plane: limits, body, request id, disconnects."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from apps.audit.domain import Verdict
from apps.core.errors import TABLE
from apps.core.limits import BODY_SECONDS, MAX_EXCHANGES
from apps.core.outcome import Refuse
from apps.gateway import after, before, calls, listing, pipeline, places
from apps.gateway.answer import Answer
from apps.gateway.exchange import Asked, Exchange, begin
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream
from apps.gateway.under_way import Handle

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]
GONE = "smartflow.gone"
_JSON = b"application/json"
_SINGLE = {
    b"authorization",
    b"x-api-key",
    b"x-goog-api-key",
    b"content-length",
    b"content-type",
    b"content-encoding",
}
_DIALECT_HEADERS = (b"anthropic-version", b"anthropic-beta")


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
        path: str = scope["path"]
        place = places.find(path)
        exchange = begin(
            path,
            place.surface if isinstance(place, Place) else places.guessed(path),
            self._client_ip(scope, headers),
            headers.get(b"user-agent", b"")[:200].decode("latin-1"),
        )
        answer = Answer(send, exchange, self._cors(headers))
        if isinstance(place, Refuse):
            await self._refuse(exchange, refusal or place, answer)
            return
        refusal = refusal or self._refusal(scope, place)
        if refusal is None:
            exchange.told = _told(headers, exchange.surface.name)
            if place.call == places.PASSING:
                exchange.asked = _asked(scope, headers)
            refusal = await before.identify(exchange, self.rooms, headers, _query_key(scope, exchange))
        if refusal is not None:
            await self._refuse(exchange, refusal, answer)
        elif place.call == places.MODELS:
            await answer.whole(200, listing.body(exchange, headers))
        else:
            await self._chat(exchange, scope, headers, receive, answer, place)

    async def _chat(
        self,
        exchange: Exchange,
        scope: Scope,
        headers: Headers,
        receive: Receive,
        answer: Answer,
        place: Place,
    ) -> None:
        try:
            body = await self._body(headers, receive, any_kind=place.call == places.PASSING)
        except GoneError:
            return
        if isinstance(body, Refuse):
            await self._refuse(exchange, body, answer)
            return
        handle = self.rooms.under_way.begin(exchange.record.id)
        watcher = _watch(scope, receive, handle)
        try:
            await self._exchange(exchange, body, handle, answer, place)
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

    async def _exchange(
        self, exchange: Exchange, body: bytes, handle: Handle, answer: Answer, place: Place
    ) -> None:
        """Run the pipeline, record before the last byte, settle after it."""
        reply = await calls.TABLE[place.call](exchange, self.rooms, body, place)
        if isinstance(reply, Refuse):
            await self._refuse(exchange, reply, answer)
            return
        if isinstance(reply, Stream):
            await answer.stream(reply, handle)
            after.settle(exchange, self.rooms, reply.delivered)
            return
        exchange.record.status = reply.status
        after.price(exchange)
        if unrecorded := await after.record(exchange, self.rooms):
            await answer.refuse(unrecorded)
        else:
            await answer.whole(reply.status, reply.body, reply.kind, reply.headers)
        after.settle(exchange, self.rooms, reply.body)

    async def _refuse(self, exchange: Exchange, refusal: Refuse, answer: Answer) -> None:
        pipeline.refused(exchange, refusal)
        after.price(exchange)
        unrecorded = await after.record(exchange, self.rooms)
        await answer.refuse(unrecorded or refusal)
        after.settle(exchange, self.rooms)

    async def _ended_early(self, exchange: Exchange, why: str, answer: Answer) -> None:
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

    def _refusal(self, scope: Scope, place: Place) -> Refuse | None:
        """Reasons to go no further that need no look at the caller."""
        if place.method and scope["method"] != place.method:
            text = f"{scope['path'][:120]} answers to {place.method}."
            return Refuse("method_not_allowed", text, headers=(("allow", place.method),))
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

    async def _body(self, headers: Headers, receive: Receive, *, any_kind: bool = False) -> bytes | Refuse:
        kind = headers.get(b"content-type", _JSON)
        if kind != _JSON and not any_kind:
            kind = kind.partition(b";")[0].strip().lower()
        encoded = headers.get(b"content-encoding", b"identity") != b"identity"
        if (kind != _JSON and not any_kind) or encoded:
            return Refuse(
                "unsupported_media_type", "Send `content-type: application/json` without a content encoding."
            )
        most = self.rooms.config.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit():
            return Refuse("invalid_header", "`content-length` must be a number.", "content-length")
        if int(declared) > most:
            return _too_large(most)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return body if len(body) <= most else _too_large(most)
        parts = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    if message["type"] != "http.request":
                        raise GoneError
                    parts += message.get("body", b"")
                    if len(parts) > most:
                        return _too_large(most)
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


def _too_large(most: int) -> Refuse:
    text = f"The body is larger than {most} bytes, the most this gateway accepts."
    return Refuse("body_too_large", text, headers=(("connection", "close"),))


def _asked(scope: Scope, headers: Headers) -> Asked:
    """The head of a request that is to be passed through."""
    path = scope.get("raw_path") or scope["path"].encode()
    return Asked(scope["method"], path.partition(b"?")[0], scope.get("query_string") or b"", headers)


def _told(headers: Headers, dialect: str) -> tuple[tuple[str, str], ...]:
    """What a client says about its own dialect: which version of it, and which of its trials it takes part in."""
    if dialect != "anthropic":
        return ()
    return tuple(
        (name.decode(), value.decode("latin-1"))
        for name in _DIALECT_HEADERS
        if (value := headers.get(name)) is not None and value.isascii() and len(value) <= 1000
    )


def _query_key(scope: Scope, exchange: Exchange) -> str:
    """Google's clients may send their key in the address; no other dialect's do."""
    query: bytes = scope.get("query_string") or b""
    if not query or exchange.surface.name != "gemini":
        return ""
    return next(iter(parse_qs(query.decode("latin-1")).get("key", ())), "")


def _headers(scope: Scope) -> tuple[Headers, Refuse | None]:
    """Headers by name; a second value for one that must be single is refused."""
    found: Headers = {}
    for name, value in scope["headers"]:
        if name in _SINGLE and name in found and found[name] != value:
            code = (
                "conflicting_credentials"
                if name in {b"authorization", b"x-api-key", b"x-goog-api-key"}
                else "invalid_header"
            )
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

# SPDX-License-Identifier: Apache-2.0
"""Calls to providers: a small interface, and aiohttp behind it.

An answer is its status and headers first, its bytes after: read whole under a bound, or chunk by chunk with
back-pressure. Every phase has a deadline. `close` drops the connection at once, so that a provider stops producing.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from typing_extensions import override
from yarl import URL

from apps.core import net
from apps.core.limits import MAX_ANSWER_BYTES

IDLE_SECONDS = 55.0
DNS_SECONDS = 60


class CallError(Exception):
    """A call that gave no usable answer; `kind` is connect, timeout, cut, tls, refused or too_large."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Call(msgspec.Struct, frozen=True):
    """One request to a provider; times are seconds, `total` bounds a whole JSON answer."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connect: float
    silence: float
    total: float | None
    private_allowed: bool = False
    verify_tls: bool = True
    method: str = "POST"

    @override
    def __repr__(self) -> str:
        # Headers carry the credential, the body what a person wrote.
        return f"Call({self.method} {self.url})"


class Incoming(Protocol):
    """A provider's answer whose head has arrived."""

    status: int

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""

    async def read(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """The whole body; CallError past the limit, the deadline or a cut."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; CallError when it is cut or falls silent."""

    def close(self) -> None:
        """Drop what is still to come together with its connection."""


class Client(Protocol):
    """Something that can call a provider; pools connections, opens nothing before the first call."""

    async def send(self, call: Call) -> Incoming:
        """Send and wait for the head of the answer; CallError says why there is none."""

    async def close(self) -> None:
        """Close every pooled connection."""


class _Guard(AbstractResolver):
    """Resolves names and refuses private addresses: what is checked is what is connected to."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allow = tuple(allow)
        self._inner = aiohttp.ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(net.is_allowed(entry["host"], self._allow) for entry in found):
            raise net.AddressRefused(net.refusal(host))
        return found

    @override
    async def close(self) -> None:
        await self._inner.close()


class AiohttpClient:
    """The `Client` on aiohttp: two pools, one of which only connects to public addresses."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._allow = tuple(allow)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def send(self, call: Call) -> Incoming:
        """Send and wait for the head of the answer; CallError says why there is none."""
        url = URL(call.url, encoded=True)
        if not call.private_allowed and net.literal_refused(url.host or "", self._allow):
            raise CallError("refused", net.refusal(url.host or ""))
        timeout = aiohttp.ClientTimeout(call.total, None, call.silence, call.connect)
        try:
            answer = await self._session(call.private_allowed).request(
                call.method,
                url,
                data=call.body or None,
                headers=CIMultiDict(call.headers),
                timeout=timeout,
                ssl=bool(call.verify_tls),
                allow_redirects=False,
            )
        except Exception as fault:
            raise _explain(fault) from fault
        return _AiohttpAnswer(answer)

    async def close(self) -> None:
        """Close every pooled connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _session(self, private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(private)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_SECONDS,
                ttl_dns_cache=DNS_SECONDS,
                resolver=None if private else _Guard(self._allow),
            )
            session = self._sessions[private] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
                trust_env=False,
            )
        return session


class _AiohttpAnswer:
    """An answer on aiohttp."""

    __slots__ = ("_answer", "status")

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status

    def header(self, name: str) -> str:
        return self._answer.headers.get(name, "")

    async def read(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        content = self._answer.content
        try:
            first = await content.readany()
            if content.at_eof():
                return self._bounded(first, limit)
            parts, size = [first], len(first)
            while size <= limit and not content.at_eof():
                parts.append(await content.readany())
                size += len(parts[-1])
        except Exception as fault:
            self._answer.close()
            raise _explain(fault) from fault
        return self._bounded(b"".join(parts), limit)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise _explain(fault) from fault
        finally:
            self.close()

    def close(self) -> None:
        self._answer.close()

    def _bounded(self, body: bytes, limit: int) -> bytes:
        if len(body) > limit:
            self._answer.close()
            raise CallError("too_large", f"the answer is longer than {limit} bytes")
        return body


_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (net.AddressRefused, "refused"),
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ConnectionTimeoutError, "connect"),
    (aiohttp.ClientConnectorError, "connect"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientError, "cut"),
    (OSError, "cut"),
    (asyncio.IncompleteReadError, "cut"),
)


def _explain(fault: BaseException) -> CallError:
    """The kind of a fault; what is not a fault of the call goes up unchanged."""
    if isinstance(fault, CallError):
        return fault
    cause = fault.__cause__ if isinstance(fault.__cause__, net.AddressRefused) else fault
    for kind, name in _KINDS:
        if isinstance(cause, kind):
            return CallError(name, str(cause) if name == "refused" else type(cause).__name__)
    raise fault


def _own(allow: Sequence[str]) -> Client:
    # Here, because it is built on the interface above.
    from apps.core.http1 import Http1Client

    return Http1Client(allow)


_FACTORIES: dict[str, Callable[[Sequence[str]], Client]] = {"aiohttp": AiohttpClient, "h1": _own}
NAMES = tuple(_FACTORIES)


def client(name: str, allow: Sequence[str] = ()) -> Client:
    """The client of a name; ValueError names those there are."""
    with contextlib.suppress(KeyError):
        return _FACTORIES[name](allow)
    raise ValueError(f"SMARTFLOW_UPSTREAM_CLIENT must be one of {', '.join(NAMES)}")


def safe_headers(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Header pairs without any that would break a head; used where a value came from outside."""
    return tuple((name, value) for name, value in pairs if _clean(value))


def _clean(value: Any) -> bool:
    return isinstance(value, str) and not any(char in value for char in "\r\n\0")

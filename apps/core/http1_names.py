# SPDX-License-Identifier: Apache-2.0
"""The addresses of a host, looked up in a thread, kept for a minute, and checked before anyone connects to them."""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Sequence

from apps.core import net
from apps.core.http import DNS_SECONDS, CallError

MAX_NAMES = 1024
MAX_ADDRESSES = 8

Addresses = tuple[str, ...]


class Names:
    """Resolves once per call that connects: what is checked is what is connected to."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allow = tuple(allow)
        self._known: dict[str, tuple[float, Addresses]] = {}
        self._flights: dict[str, asyncio.Future[Addresses]] = {}
        self._refused = functools.lru_cache(maxsize=MAX_NAMES)(self._literal_refused)

    def check_literal(self, host: str) -> None:
        """CallError when a host is a private address written out, also if a connection to it were pooled."""
        if self._refused(host):
            raise CallError("refused", net.refusal(host))

    async def addresses(self, host: str, *, private: bool) -> Addresses:
        """Where to connect to for a host; CallError unless every address may be called."""
        found = await self._look_up(host)
        if not private and not all(net.is_allowed(address, self._allow) for address in found):
            raise CallError("refused", net.refusal(host))
        return found[:MAX_ADDRESSES]

    def forget(self, host: str) -> None:
        """Look a host up afresh the next time: its addresses did not answer."""
        self._known.pop(host, None)

    def _literal_refused(self, host: str) -> bool:
        return net.literal_refused(host, self._allow)

    async def _look_up(self, host: str) -> Addresses:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        until, known = self._known.get(host, (0.0, ()))
        if until > loop.time():
            return known
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = loop.run_in_executor(None, _resolve, host)
            flight.add_done_callback(functools.partial(self._landed, host))
        try:
            # Shielded: one caller that goes away must not take the answer from the others.
            return await asyncio.shield(flight)
        except (OSError, UnicodeError) as fault:
            raise CallError("connect", "the host's name cannot be resolved") from fault

    def _landed(self, host: str, flight: "asyncio.Future[Addresses]") -> None:
        self._flights.pop(host, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        if len(self._known) >= MAX_NAMES:
            self._known.clear()
        self._known[host] = (asyncio.get_running_loop().time() + DNS_SECONDS, flight.result())


def _resolve(host: str) -> Addresses:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise OSError("no address")
    return addresses

# SPDX-License-Identifier: Apache-2.0
"""Where calls may go that somebody typed: public addresses only, checked on the address that is connected to."""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Exception):  # noqa: N818 - a decision, not a defect
    """The address may not be called; the text is one sentence that names the host."""


def is_allowed(address: str, allow: Sequence[str] = ()) -> bool:
    """Whether an IP address is public (IANA special-purpose registries) or in a network an operator allowed."""
    try:
        parsed = _plain(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(parsed in ipaddress.ip_network(network) for network in allow):
        return True
    return parsed.is_global and not parsed.is_multicast


def resolve_public(host: str, port: int, allow: Sequence[str] = ()) -> str:
    """The address to connect to; every address of the name must be allowed. Blocks: not for the event loop."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise AddressRefused(f"{host} cannot be found.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_allowed(address, allow) for address in addresses):
        raise AddressRefused(refusal(host))
    return addresses[0]


def check_url(url: str, allow: Sequence[str] = ()) -> None:
    """Refuse a URL that is not http(s), carries credentials, or names a private address literally."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AddressRefused("The URL has no valid host and port.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise AddressRefused("The URL must begin with https:// or http:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The URL must not carry a user name or password.")
    if parts.fragment:
        raise AddressRefused("The URL must not have a fragment.")
    if literal_refused(host, allow):
        raise AddressRefused(refusal(host))


def literal_refused(host: str, allow: Sequence[str] = ()) -> bool:
    """Whether a host is a private address written out, in any form the system's resolver would accept."""
    lowered = host.rstrip(".").lower()
    if lowered == "localhost" or lowered.endswith(".localhost"):
        return not is_allowed("127.0.0.1", allow)
    try:
        return not is_allowed(str(ipaddress.ip_address(lowered.partition("%")[0])), allow)
    except ValueError:
        pass
    try:
        # 127.1, 0x7f.1 and 2130706433 are addresses to the C library.
        return not is_allowed(socket.inet_ntoa(socket.inet_aton(lowered)), allow)
    except (OSError, UnicodeError):
        return False


def refusal(host: str) -> str:
    """The sentence for an address that may not be called."""
    return f"{host} is a private address; an operator can allow its network with SMARTFLOW_OUTBOUND_ALLOW."


def _plain(address: Address) -> Address:
    """The IPv4 address inside a mapped, 6to4, Teredo or NAT64 one: what is really connected to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address

# SPDX-License-Identifier: Apache-2.0
"""The head of a request to a provider, built from validated pieces only: nothing in it can begin a second line."""

import functools
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_URL = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
# What frames a message is this client's to say.
_OURS = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points: the host to connect to, and the request line and Host header it asks for."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str


@functools.lru_cache(maxsize=1024)
def target(url: str) -> Target:
    """The target of an absolute http(s) URL; ValueError when it has a part that cannot be sent as it is."""
    # First, because urlsplit drops line breaks in silence.
    if not _URL.fullmatch(url):
        raise ValueError("The URL has a space, a control character or a character that is not ASCII.")
    parts = urlsplit(url)
    host, given, usual = parts.hostname or "", parts.port, _PORTS.get(parts.scheme)
    if usual is None or parts.username is not None or parts.password is not None or given == 0:
        raise ValueError("The URL must begin with https:// or http:// and carry no user name or password.")
    if ":" in host and "%" not in host:
        host = str(ipaddress.IPv6Address(host))
        name = f"[{host}]"
    elif _HOST.fullmatch(host):
        name = host
    else:
        raise ValueError("The URL has no valid host.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = name if given in {None, usual} else f"{name}:{given}"
    return Target(parts.scheme == "https", host, given or usual, authority, path)


def head(method: str, to: Target, headers: Sequence[tuple[str, str]], length: int) -> bytes:
    """The head of a request whose body has a length; ValueError when a piece would break it."""
    lines = [f"{_method(method)} {to.path} HTTP/1.1\r\nhost: {to.authority}\r\n"]
    for name, value in headers:
        lowered = _name(name)
        if lowered in {"host", "content-length"}:
            if value.lower() != (to.authority if lowered == "host" else str(length)):
                raise ValueError(f"The header {lowered} contradicts the request.")
            continue
        lines.append(f"{name}: {value}\r\n")
    if _CONTROL.search("".join([value for _, value in headers])):
        raise ValueError("A header's value has a control character.")
    lines.append(f"content-length: {length}\r\n\r\n" if length or method not in _BODILESS else "\r\n")
    return "".join(lines).encode()


@functools.lru_cache(maxsize=1024)
def _name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("A header's name is not a token.")
    lowered = name.lower()
    if lowered in _OURS:
        raise ValueError(f"The header {lowered} is the client's to set.")
    return lowered


@functools.lru_cache(maxsize=64)
def _method(method: str) -> str:
    if not _TOKEN.fullmatch(method) or method.upper() != method or method == "CONNECT":
        raise ValueError("The method is not one that can be sent.")
    return method

# SPDX-License-Identifier: Apache-2.0
"""How the text of a setting becomes a typed value, and the sentence said when it cannot."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Parse = Callable[[str], Any]

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_SIZES = {
    "": 1,
    "b": 1,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
}
_HOST = re.compile(r"^(\*|\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])$")


class Kind:
    """A named parser: the name is what the generated reference shows as the type."""

    __slots__ = ("name", "parse")

    def __init__(self, name: str, parse: Parse) -> None:
        self.name = name
        self.parse = parse


def _text(raw: str) -> str:
    if "\x00" in raw or "\n" in raw:
        raise ValueError("must be one line of text")
    return raw


def whole(low: int, high: int) -> Kind:
    """A whole number within two bounds."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", raw) or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return Kind(f"whole number, {low} to {high}", parse)


def size(low: int, high: int) -> Kind:
    """A number of bytes, with an optional unit."""

    def parse(raw: str) -> int:
        match = re.fullmatch(r"([0-9]{1,15})\s*([A-Za-z]*)", raw)
        if match is None or match[2].lower() not in _SIZES:
            raise ValueError("must be a number of bytes such as 16777216 or 16MiB")
        value = int(match[1]) * _SIZES[match[2].lower()]
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high} bytes")
        return value

    return Kind("bytes, for example 16MiB", parse)


def choice(*values: str, aliases: dict[str, str] | None = None) -> Kind:
    """One of a few words; an alias is turned into its word."""
    known = {**{value: value for value in values}, **(aliases or {})}

    def parse(raw: str) -> str:
        if raw not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return known[raw]

    return Kind(" or ".join(f"`{value}`" for value in known), parse)


def url(*schemes: str) -> Kind:
    """A URL with one of the given schemes; the message never repeats the value, it may hold a password."""

    def parse(raw: str) -> str:
        try:
            parts = urlsplit(raw)
            _ = parts.port
        except ValueError:
            raise ValueError("must be a URL with a valid host and port") from None
        if parts.scheme not in schemes or not (parts.netloc or parts.path or parts.query):
            raise ValueError(f"must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return _text(raw)

    return Kind(f"URL ({', '.join(schemes)})", parse)


def _switch(raw: str) -> bool:
    if raw.lower() not in _TRUE | _FALSE:
        raise ValueError("must be on or off")
    return raw.lower() in _TRUE


def _items(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def _networks(raw: str) -> tuple[str, ...]:
    found = []
    for part in _items(raw):
        try:
            found.append(str(ipaddress.ip_network(part, strict=False)))
        except ValueError:
            raise ValueError("must be a comma-separated list of IP addresses or networks") from None
    return tuple(found)


def _hosts(raw: str) -> tuple[str, ...]:
    hosts = _items(raw)
    if not all(_HOST.match(host) for host in hosts):
        raise ValueError("must be a comma-separated list of host names")
    return hosts


def _origins(raw: str) -> tuple[str, ...]:
    for part in _items(raw):
        parts = urlsplit(part)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
            raise ValueError("must be a comma-separated list of origins such as https://chat.example.com")
    return _items(raw)


def _path(raw: str) -> Path:
    return Path(_text(raw)).expanduser().absolute()


def _one_host(raw: str) -> str:
    try:
        return str(ipaddress.ip_address(raw))
    except ValueError:
        if not _HOST.match(raw) or raw == "*":
            raise ValueError("must be an IP address or a host name to listen on") from None
        return raw


TEXT = Kind("text", _text)
SWITCH = Kind("`on` or `off`", _switch)
NETWORKS = Kind("list of addresses or networks", _networks)
HOSTS = Kind("list of host names", _hosts)
ORIGINS = Kind("list of origins", _origins)
PATH = Kind("path", _path)
HOST = Kind("address or host name", _one_host)
PORT = whole(1, 65535)

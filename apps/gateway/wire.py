# SPDX-License-Identifier: Apache-2.0
"""What the request headers ask for."""

import re
from collections.abc import Mapping

import msgspec

from apps.core.outcome import Refuse


class Wishes(msgspec.Struct, frozen=True):
    """What the request headers ask for, inside what the key allows."""

    cache: str = ""
    seconds: float | None = None
    target: str = ""
    provider: str = ""
    tags: tuple[str, ...] = ()
    session_id: str = ""
    client_request_id: str = ""
    person: str = ""
    # Leave out what the provider cannot be told, instead of refusing.
    drop: bool = False


_NO_WISHES = Wishes()
_CACHE = {"", "skip", "refresh", "only", "exact"}
_VISIBLE = re.compile(r"^[\x20-\x7e]{0,200}$")


def wishes(headers: Mapping[bytes, bytes]) -> Wishes | Refuse:
    """The request headers that are ours; a value that cannot be used is refused by name."""
    if _HEADERS.keys().isdisjoint(headers):
        return _NO_WISHES
    found: dict[str, str] = {}
    for header, name in _HEADERS.items():
        value = headers.get(header)
        if value is None:
            continue
        text = value.decode("latin-1").strip()
        if _VISIBLE.match(text) is None:
            return _header(header, "must be at most 200 visible ASCII characters")
        found[name] = text
    if found.get("cache", "") not in _CACHE:
        return _header(b"x-smartflow-cache", "must be skip, refresh, only or exact")
    seconds: float | None = None
    if "timeout" in found:
        if not found["timeout"].isdigit() or not 1 <= int(found["timeout"][:12]) <= 3_600_000:
            return _header(b"x-smartflow-timeout-ms", "must be milliseconds from 1 to 3600000")
        seconds = int(found["timeout"]) / 1000
    if found.get("drop", "") not in {"", "true", "false"}:
        return _header(b"x-smartflow-drop-params", "must be true or false")
    tags = tuple(tag.strip() for tag in found.get("tags", "").split(",") if tag.strip())[:20]
    return Wishes(
        cache=found.get("cache", ""),
        seconds=seconds,
        target=found.get("target", ""),
        provider=found.get("provider", ""),
        tags=tags,
        session_id=found.get("session", ""),
        client_request_id=found.get("request", ""),
        person=found.get("person", ""),
        drop=found.get("drop") == "true",
    )


_HEADERS = {
    b"x-smartflow-cache": "cache",
    b"x-smartflow-timeout-ms": "timeout",
    b"x-smartflow-route-model": "target",
    b"x-smartflow-provider": "provider",
    b"x-smartflow-tags": "tags",
    b"x-smartflow-session-id": "session",
    b"x-smartflow-user": "person",
    b"x-smartflow-drop-params": "drop",
    b"x-request-id": "request",
}


def _header(name: bytes, rule: str) -> Refuse:
    text = name.decode()
    return Refuse("invalid_header", f"The header `{text}` {rule}.", text)

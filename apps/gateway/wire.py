# SPDX-License-Identifier: Apache-2.0
"""The request as bytes becomes the request as values: typed where we act on a field, kept as it came elsewhere."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from apps.core.outcome import Refuse
from apps.gateway.texts import DepthError, Slot, collect, collect_field, collect_messages

_PLACE = re.compile(r"`\$\.?([^`]*)`")
# The provider never sees the one, the other is read message by message.
_ELSEWHERE = {"model", "messages"}


class _Acted(msgspec.Struct):
    """The fields we act on; their types are OpenAI's."""

    model: str
    messages: list[Any]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Any] | None = None


class ChatRequest(msgspec.Struct):
    """One chat request; `fields` is the whole body, `slots` its texts, which point into `fields`."""

    model: str
    fields: dict[str, Any]
    slots: list[Slot]
    stream: bool
    wants_usage: bool
    output_limit: int | None
    choices: int
    size: int


_object = msgspec.json.Decoder(dict[str, Any]).decode


def parse(body: bytes) -> ChatRequest | Refuse:
    """A chat request, or why it is none, naming the field."""
    try:
        fields = _object(body)
        acted = msgspec.convert(fields, _Acted)
        slots: list[Slot] = []
        collect_messages(acted.messages, slots)
        for name, value in fields.items():
            if name in _ELSEWHERE:
                continue
            if isinstance(value, (dict, list)):
                collect(value, "document", slots)
            else:
                collect_field(fields, name, "document", slots)
    except msgspec.ValidationError as fault:
        return _invalid(fault)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        return Refuse("invalid_json", f"The body is not JSON: {_short(fault)}.")
    except (RecursionError, DepthError):
        return Refuse("invalid_json", "The body is nested deeper than 64 levels.")
    return _checked(acted, fields, slots, len(body))


def _checked(acted: _Acted, fields: dict[str, Any], slots: list[Slot], size: int) -> ChatRequest | Refuse:
    limit = acted.max_completion_tokens if acted.max_completion_tokens is not None else acted.max_tokens
    name = "max_completion_tokens" if acted.max_completion_tokens is not None else "max_tokens"
    if not acted.model or len(acted.model) > 200:
        return _field("model", "must be the name of a model")
    if not acted.messages:
        return _field("messages", "must hold at least one message")
    for number, message in enumerate(acted.messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return _field(f"messages[{number}]", "must be an object with a `role`")
    if limit is not None and not 1 <= limit <= 10_000_000:
        return _field(name, "must be a whole number above 0")
    if acted.n is not None and not 1 <= acted.n <= 128:
        return _field("n", "must be from 1 to 128")
    if acted.temperature is not None and not 0 <= acted.temperature <= 2:
        return _field("temperature", "must be from 0 to 2")
    usage = bool(acted.stream_options and acted.stream_options.get("include_usage") is True)
    return ChatRequest(acted.model, fields, slots, bool(acted.stream), usage, limit, acted.n or 1, size)


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
    )


_HEADERS = {
    b"x-smartflow-cache": "cache",
    b"x-smartflow-timeout-ms": "timeout",
    b"x-smartflow-route-model": "target",
    b"x-smartflow-provider": "provider",
    b"x-smartflow-tags": "tags",
    b"x-smartflow-session-id": "session",
    b"x-smartflow-user": "person",
    b"x-request-id": "request",
}


def _invalid(fault: msgspec.ValidationError) -> Refuse:
    place = _PLACE.search(str(fault))
    missing = re.search(r"missing required field `([^`]+)`", str(fault))
    param = missing[1] if missing else (place[1] if place else "") or None
    what = "is missing" if missing else f"has the wrong type ({str(fault).partition(' - at')[0]})"
    return Refuse("invalid_request", f"`{param or 'body'}` {what}.", param)


def _field(name: str, rule: str) -> Refuse:
    return Refuse("invalid_request", f"`{name}` {rule}.", name)


def _header(name: bytes, rule: str) -> Refuse:
    text = name.decode()
    return Refuse("invalid_header", f"The header `{text}` {rule}.", text)


def _short(fault: Exception) -> str:
    return str(fault)[:120]

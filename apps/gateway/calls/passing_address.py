# SPDX-License-Identifier: Apache-2.0
"""Where a request that is passed through goes: its provider, and a path and query that cannot lead anywhere else."""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import msgspec

from apps.core.outcome import Refuse
from apps.gateway import places
from apps.gateway.exchange import Asked
from apps.gateway.names import admits
from apps.gateway.snapshot import View
from apps.keys.domain import PREFIX, Key
from apps.providers.domain import Provider
from apps.providers.stage import Route

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
MOST_PATH = 1000
MOST_PAIRS = 100
_MOST_VALUE = 2000
_SEGMENT = re.compile(rb"(?:[A-Za-z0-9._~:@!$&'()*+,=-]|%[0-9A-Fa-f]{2})+")
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
_VALUE = re.compile(rb"[\x20-\x7e]*")
_KEPT = ":@!$&'()*+,=~"
# What ends a segment, hides another one, or begins another part of an address, for some server or other.
_NEVER = frozenset("/\\%?#;")
# Credentials that some provider takes from the address: ours go in a header, a client's go nowhere.
_SECRET_NAMES = {"key", "api_key", "api-key", "apikey", "access_token", "subscription-key", "auth_token"}
_HEADERS = {"accept", "content-type", "idempotency-key"}
_FAMILIES = ("openai-", "anthropic-")
# They choose whose account is used, which the provider's own credential does.
_NOT = {"openai-organization", "openai-project"}


class Way(msgspec.Struct):
    """One call to be made; `query` and `headers` are pairs that policies may rewrite, `path` is decoded."""

    provider: Provider
    route: Route
    method: str
    path: str
    query: list[list[str]]
    headers: list[list[str]]
    raw_query: str
    asked_query: tuple[tuple[str, str], ...]

    def url(self) -> str:
        """The address to call: always below the provider's base address."""
        path = "/".join(quote(part, safe=_KEPT) for part in self.path.split("/"))
        query = self.raw_query
        if tuple((name, value) for name, value in self.query) != self.asked_query:
            query = urlencode([(name, value) for name, value in self.query])
        return f"{self.route.base_url}/{path}" + (f"?{query}" if query else "")

    @property
    def model(self) -> str:
        """The model that the path names, as Google's do."""
        found = re.match(r"(?:.*/)?models/([^/:]+)", self.path)
        return found[1] if found else ""


def find(asked: Asked, view: View, key: Key) -> Way | Refuse:
    """The way of a request, within what its key may do."""
    if asked.method not in METHODS:
        text = f"Requests that are passed through may be {', '.join(METHODS)}."
        return Refuse("method_not_allowed", text, headers=(("allow", ", ".join(METHODS)),))
    parts = _parts(asked.path)
    if isinstance(parts, Refuse):
        return parts
    name, path = parts[0], "/".join(parts[1:])
    if not _allowed(key.passthrough, name, path):
        text = f"Key {key.hint} may not pass through to this path of “{name[:80]}”."
        return Refuse("passthrough_not_allowed", text)
    found = view.passing.get(name)
    if found is None:
        return Refuse("not_found", f"There is no provider “{name[:80]}” that is in use.")
    provider, route = found
    if own := _own_surface(path, provider):
        return Refuse("passthrough_not_allowed", f"This call is served at {own}; send it there.")
    query = _query(asked.query)
    if isinstance(query, Refuse):
        return query
    headers = _forwarded(asked.headers)
    if isinstance(headers, Refuse):
        return headers
    return Way(
        provider,
        route,
        asked.method,
        path,
        [[one, value] for one, value in query],
        headers,
        asked.query.decode("ascii"),
        query,
    )


def _parts(raw: bytes) -> list[str] | Refuse:
    """Provider and path segments, decoded once; whatever could be read as another path is refused."""
    prefix = places.PASSTHROUGH.encode()
    rest = raw.removeprefix(prefix)
    segments = rest.split(b"/")
    if not raw.startswith(prefix) or len(segments) < 2 or len(rest) > MOST_PATH:
        return _no_path("needs a provider and a path of at most 1000 characters")
    found = []
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return _no_path("has an empty part or a character that must be encoded")
        try:
            text = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            return _no_path("is not UTF-8")
        plain = unicodedata.normalize("NFKC", text)
        if not text.isprintable() or not _NEVER.isdisjoint(text + plain) or plain.strip(" .") == "":
            return _no_path("has a part that could be read as another path")
        found.append(text)
    return found


def _no_path(why: str) -> Refuse:
    return Refuse("invalid_request", f"The path after {places.PASSTHROUGH} {why}.", "path")


def _allowed(patterns: tuple[str, ...], name: str, path: str) -> bool:
    """Whether one of a key's patterns covers a path; the bare name of a provider covers all of its paths."""
    return bool(patterns) and (name in patterns or admits(patterns, f"{name}/{path}"))


def _own_surface(path: str, provider: Provider) -> str:
    """The address at which we serve the same call ourselves: models, prices and the cache are decided there."""
    lowered = path.lower()
    for version in ("/v1/", "/v1beta/"):
        place = places.find(version + (path if ":" in path else lowered))
        served = isinstance(place, places.Place) and place.call not in {places.MODELS, places.PASSING}
        if served and isinstance(place, places.Place) and place.surface.name == provider.dialect:
            return version + (path if ":" in path else lowered)
    return ""


def _query(raw: bytes) -> tuple[tuple[str, str], ...] | Refuse:
    """The names and values of a query string, without anybody's credential in it."""
    bad = Refuse("invalid_request", "The query string cannot be read: at most 100 values in UTF-8.", "query")
    if not _QUERY.fullmatch(raw):
        return bad
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS
        )
    except ValueError:
        return bad
    for name, value in pairs:
        if name.lower().strip() in _SECRET_NAMES or PREFIX in value or PREFIX in name:
            return Refuse("invalid_request", "Leave credentials out of the query string.", "query")
    return tuple(pairs)


def _forwarded(headers: Mapping[bytes, bytes]) -> list[list[str]] | Refuse:
    """What a provider is told of the client's headers: a short list, so that none of ours or of a hop is among them."""
    hop = {name.strip().lower() for name in headers.get(b"connection", b"").decode("latin-1").split(",")}
    found = []
    for raw, value in headers.items():
        name = raw.decode("latin-1")
        if (name not in _HEADERS and not name.startswith(_FAMILIES)) or name in _NOT or name in hop:
            continue
        if not _VALUE.fullmatch(value) or len(value) > _MOST_VALUE or PREFIX.encode() in value:
            return Refuse(
                "invalid_header", f"The header `{name}` has a value that cannot be passed on.", name
            )
        found.append([name, value.decode("ascii")])
    return found

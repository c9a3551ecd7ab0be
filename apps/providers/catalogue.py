# SPDX-License-Identifier: Apache-2.0
"""What providers charge, from a snapshot that is kept beside this file: found by provider and model, with its history."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from apps.providers.rates import PriceList

SNAPSHOT = Path(__file__).with_name("catalogue.jsonl")
_MS_PER_DAY = 86_400_000
_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: where the snapshot comes from; `digest` names its content."""

    source: str
    version: str
    licence: str
    made: str
    digest: str


class Dated(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """A price list from a date (UTC) on; an empty one means "since ever"."""

    since: str
    prices: PriceList

    @property
    def from_ms(self) -> int:
        """When it takes effect, in milliseconds since 1970; 0 for "since ever"."""
        if not self.since:
            return 0
        return (date.fromisoformat(self.since) - date(1970, 1, 1)).days * _MS_PER_DAY


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="provider"):
    """A provider: the pattern of its addresses, and whose prices count where it has none of its own."""

    provider: str
    name: str
    address: str
    match: dict[str, Any] = {}
    also: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    note: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="model"):
    """A model of a provider; `left_out` are kinds of prices that we have no usage for."""

    provider: str
    id: str
    name: str = ""
    match: dict[str, Any]
    context: int = 0
    deprecated: bool = False
    note: str = ""
    left_out: tuple[str, ...] = ()
    history: tuple[Dated, ...]

    @property
    def current(self) -> PriceList:
        """The newest price list, which may take effect only later."""
        return self.history[-1].prices

    def at(self, at_ms: int) -> PriceList:
        """The price list of a moment."""
        found = self.history[0]
        for dated in self.history:
            if dated.from_ms <= at_ms:
                found = dated
        return found.prices


class Catalogue:
    """The snapshot, read once."""

    def __init__(self, raw: bytes) -> None:
        first, *lines = raw.splitlines()
        self.meta = msgspec.json.decode(first, type=Meta)
        decode = msgspec.json.Decoder(Source | Entry).decode
        self.sources: dict[str, Source] = {}
        self.models: dict[str, list[Entry]] = {}
        for line in lines:
            found = decode(line)
            if isinstance(found, Source):
                self.sources[found.provider] = found
            else:
                self.models.setdefault(found.provider, []).append(found)

    def find(self, provider: str, model: str) -> Entry | None:
        """The prices of a provider's model under any name that requests may use for it."""
        source = self.source(provider)
        name = model.strip().lower()
        if source is None or not name:
            return None
        # Some write 20260131 where the provider writes 2026-01-31.
        spellings = dict.fromkeys((name, _DATE.sub(r"-\1-\2-\3", name)))
        for spelling in spellings:
            for owner in (source.provider, *source.also):
                for entry in self.models.get(owner, ()):
                    if matches(entry.match, spelling):
                        return entry
        return None

    def source(self, provider: str) -> Source | None:
        """A provider by its id, or by a name that is known to mean it."""
        wanted = provider.strip().lower()
        if wanted in self.sources:
            return self.sources[wanted]
        named = (source for source in self.sources.values() if wanted and matches(source.match, wanted))
        return next(named, None)

    def source_of(self, base_url: str) -> Source | None:
        """The provider behind an address; None for servers of one's own."""
        return next((one for one in self.sources.values() if re.match(one.address, base_url)), None)

    def search(self, words: str = "", provider: str = "") -> Iterator[Entry]:
        """Models whose provider, id or name has all of the words, in the order of the snapshot."""
        wanted = words.lower().split()
        for owner, entries in self.models.items():
            if provider and owner != provider:
                continue
            for entry in entries:
                text = f"{owner}/{entry.id} {entry.name}".lower()
                if all(word in text for word in wanted):
                    yield entry


@functools.cache
def catalogue() -> Catalogue:
    """The snapshot that this release carries."""
    return Catalogue(SNAPSHOT.read_bytes())


def matches(clause: Mapping[str, Any], text: str) -> bool:
    """Whether a lower-case name meets a condition of the snapshot; an empty one is met by nothing."""
    for kind, value in clause.items():
        if kind == "or":
            return any(matches(one, text) for one in value)
        if kind == "and":
            return all(matches(one, text) for one in value)
        if kind == "regex":
            return re.search(value, text) is not None
        return _TESTS[kind](text, value.lower())
    return False


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda text, value: text == value,
    "starts_with": lambda text, value: text.startswith(value),
    "ends_with": lambda text, value: text.endswith(value),
    "contains": lambda text, value: value in text,
}

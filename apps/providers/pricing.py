# SPDX-License-Identifier: Apache-2.0
"""Which prices hold when: the operator's own before the published ones, each from its moment on, with its margin."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from apps.providers.catalogue import Entry
from apps.providers.rates import PriceList, Prices, Rates, Sheet, Tier, Window

MOST = Decimal(1_000_000_000)
_PLACES = -15
_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's word for a stretch of time; `prices` None leaves the usual ones, `name` says which word it is."""

    name: str
    from_ms: int
    until_ms: int | None = None
    prices: PriceList | None = None
    margin: Decimal = Decimal(0)

    def holds(self, at_ms: int) -> bool:
        """Whether it counts at a moment."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that may say what a model costs; `general` are margins on all models of the organisation."""

    own: Sequence[Override] = ()
    general: Sequence[Override] = ()
    fixed: PriceList | None = None
    fixed_version: str = ""
    entry: Entry | None = None


def timeline(sources: Sources) -> tuple[Rates, ...]:
    """The prices of all times, oldest first; a set without a version means that from then on no price is known."""
    moments = {0}
    for override in (*sources.own, *sources.general):
        moments.add(max(0, override.from_ms))
        moments.update(() if override.until_ms is None else (override.until_ms,))
    if sources.entry is not None:
        moments.update(dated.from_ms for dated in sources.entry.history)
    found: list[Rates] = []
    for moment in sorted(moments):
        rates = _at(sources, moment)
        before = found[-1] if found else None
        if before is None or msgspec.structs.replace(rates, from_ms=before.from_ms) != before:
            found.append(rates)
    return tuple(found)


def split(rates: Sequence[Rates], at_ms: int) -> tuple[Rates | None, tuple[Rates, ...]]:
    """The prices of a moment, and those that take effect after it."""
    begun = [one for one in rates if one.from_ms <= at_ms]
    now = begun[-1] if begun and begun[-1].version else None
    return now, tuple(one for one in rates if one.from_ms > at_ms)


def catalogue_version(entry: Entry, prices: PriceList, since: str) -> str:
    """The name of published prices: whose, since when, and a digest of what they say."""
    digest = hashlib.sha256(_encode(prices)).hexdigest()[:8]
    return f"{entry.provider}/{entry.id}@{since or 'first'}#{digest}"


def read_prices(raw: Any) -> PriceList:
    """A price list from JSON as an operator writes it; ValueError says where it is wrong and what to do."""
    if not isinstance(raw, Mapping):
        raise ValueError("Prices are an object with fields such as input and output.")
    _check_names(raw, PriceList, "")
    try:
        found = msgspec.convert(raw, PriceList)
    except msgspec.ValidationError as fault:
        raise ValueError(f'Prices are dollars as text, for example "2.50": {fault}.') from None
    for place, sheet in _sheets(found):
        _check_sheet(sheet, place)
    for number, window in enumerate(found.windows):
        _check_window(window, f"windows[{number}]")
    return found


def document(prices: PriceList) -> dict[str, Any]:
    """A price list as JSON, without what says nothing."""
    found: dict[str, Any] = msgspec.json.decode(_encode(prices))
    return {name: value for name, value in found.items() if value != "0"}


def _at(sources: Sources, moment: int) -> Rates:
    own = next((one for one in sources.own if one.holds(moment)), None)
    general = next((one for one in sources.general if one.holds(moment)), None)
    prices, version = _base(sources, own, moment)
    if prices is None:
        return Rates(version="", from_ms=moment)
    margin = own or general
    if margin is not None and margin.name != version:
        version = f"{version}+{margin.name}"
    fields = {name: getattr(prices, name) for name in PriceList.__struct_fields__}
    return Rates(
        **fields, version=version, from_ms=moment, margin=margin.margin if margin is not None else Decimal(0)
    )


def _base(sources: Sources, own: Override | None, moment: int) -> tuple[PriceList | None, str]:
    if own is not None and own.prices is not None:
        return own.prices, own.name
    if sources.fixed is not None:
        return sources.fixed, sources.fixed_version
    if sources.entry is None:
        return None, ""
    dated = [one for one in sources.entry.history if one.from_ms <= moment][-1]
    return dated.prices, catalogue_version(sources.entry, dated.prices, dated.since)


def _sheets(prices: PriceList) -> Iterable[tuple[str, Sheet]]:
    yield "", prices
    yield from ((f"services.{name}", sheet) for name, sheet in prices.services.items())
    yield from ((f"windows[{number}]", sheet) for number, sheet in enumerate(prices.windows))


def _check_sheet(sheet: Sheet, place: str) -> None:
    bounds = [tier.above for tier in sheet.tiers]
    if bounds != sorted(set(bounds)) or any(bound < 1 for bound in bounds):
        raise ValueError(f"{_in(place)}tiers rise from one to the next: give `above` in order, from 1 on.")
    for prices in (sheet, *sheet.tiers):
        for name in Prices.__struct_fields__:
            value = getattr(prices, name)
            for price in value.values() if isinstance(value, dict) else (value,):
                _check_price(price, f"{_in(place)}{name}")


def _check_price(price: Decimal | None, name: str) -> None:
    if price is None:
        return
    exponent = price.as_tuple().exponent
    if not price.is_finite() or not 0 <= price <= MOST or not isinstance(exponent, int) or exponent < _PLACES:
        raise ValueError(f"{name} is no price: use 0 to {MOST} dollars with at most {-_PLACES} decimals.")


def _check_window(window: Window, place: str) -> None:
    if not (0 <= window.start < 1440 and 0 <= window.end <= 1440 and window.start != window.end):
        raise ValueError(f"{place} needs start and end as minutes after midnight UTC, 0 to 1440.")
    if not window.days or not set(window.days) <= set(range(7)):
        raise ValueError(f"{place} needs days from 0 (Monday) to 6 (Sunday).")


def _check_names(raw: Mapping[str, Any], kind: type[Prices], place: str) -> None:
    """Every field is known and every price is text, so that nothing is lost or rounded in silence."""
    known = set(kind.__struct_encode_fields__)
    for name, value in raw.items():
        if name not in known:
            raise ValueError(f"{_in(place)}there is no field {name}; there are: {', '.join(sorted(known))}.")
        if isinstance(value, float):
            raise ValueError(f"{_in(place)}{name}: write it as text, so that it stays exact.")
    inner: tuple[tuple[str, type[Prices], Any], ...] = (
        ("tiers", Tier, raw.get("tiers")),
        ("windows", Window, raw.get("windows")),
    )
    for name, part, items in inner:
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, Mapping):
                _check_names(item, part, f"{place}.{name}[{number}]".lstrip("."))
    services = raw.get("services")
    for name, item in services.items() if isinstance(services, Mapping) else ():
        if isinstance(item, Mapping):
            _check_names(item, Sheet, f"services.{name}")


def _in(place: str) -> str:
    return f"{place}: " if place else ""

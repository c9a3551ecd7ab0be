# SPDX-License-Identifier: Apache-2.0
"""What usage costs: exact dollars at a set of prices. Part of the hot path; `plain` has its short cut."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from apps.core import money
from apps.providers.plain import EXACT as _EXACT
from apps.providers.plain import dearest_input, dearest_output, plain
from apps.providers.price_list import PriceList, Prices, Rates, Sheet, Tier, Window
from apps.providers.usage import Usage

__all__ = [
    "STANDARD",
    "Line",
    "PriceList",
    "Prices",
    "Rates",
    "Sheet",
    "Tier",
    "Window",
    "bill",
    "breakdown",
    "cost",
    "in_effect",
    "most",
    "upper_bound",
]
_NOTHING = Decimal(0)
_HUNDRED = Decimal(100)
_SECONDS = Decimal(3600)
_MINUTE_MS, _DAY_MINUTES = 60_000, 1440
# 1 January 1970 was a Thursday.
_FIRST_WEEKDAY = 3
STANDARD = ""


class Line(msgspec.Struct, frozen=True):
    """One kind of a usage: its count (of an hour: seconds), micro-dollars for one (an hour), dollars for all."""

    kind: str
    count: int
    price: Decimal
    dollars: Decimal


def cost(rates: Rates | None, usage: Usage, service: str = STANDARD, at_ms: int = 0) -> Decimal:
    """Exact dollars of a call, margin included; nothing where no price is known.

    `service` is the tier that the provider says it served; one without prices of its own costs the standard ones.
    `at_ms` is when the request was made, for prices that depend on the time of day.
    """
    if rates is None:
        return _NOTHING
    quick = plain(rates)
    units = None if quick is None else quick.units(usage, service)
    if quick is None or units is None:
        return _slow_cost(rates, usage, service, at_ms)
    return Decimal(units).scaleb(quick.exponent, _EXACT)


def bill(rates: Rates | None, usage: Usage, service: str = STANDARD, at_ms: int = 0) -> tuple[Decimal, int]:
    """`cost`, and the whole micro-dollars to charge for it."""
    if rates is None:
        return _NOTHING, 0
    quick = plain(rates)
    units = None if quick is None else quick.units(usage, service)
    if quick is None or units is None:
        dollars = _slow_cost(rates, usage, service, at_ms)
        return dollars, money.charge(dollars)
    return Decimal(units).scaleb(quick.exponent, _EXACT), -(-units // quick.per_micro)


def breakdown(rates: Rates, usage: Usage, service: str = STANDARD, at_ms: int = 0) -> tuple[Line, ...]:
    """What each kind of a usage costs; the lines add up to `cost`. A kind in several tiers has several lines."""
    return tuple(
        Line(kind, count, price, _with_margin(rates, _amount(kind, count, price)))
        for kind, count, price in _parts(_sheet(rates, service, at_ms), usage)
    )


def upper_bound(
    rates: Rates | None,
    input_tokens: int,
    output_tokens: int,
    *,
    service: str = STANDARD,
    at_ms: int = 0,
    text_only: bool = False,
    tools: Mapping[str, int] | None = None,
) -> Decimal:
    """The most dollars that a call of no more than so many tokens can cost, however the provider counts its parts.

    Without `at_ms` the dearest part of the day counts. With `text_only` what is sent is known to be nothing else, and
    what comes back may be anything; `tools` are the most calls of the provider's own.
    """
    if rates is None:
        return _NOTHING
    quick = plain(rates)
    units = None
    if quick is not None and not tools:
        units = quick.most_units(input_tokens, output_tokens, service, text_only)
    if quick is None or units is None:
        return _slow_bound(rates, input_tokens, output_tokens, service, at_ms, text_only, tools or {})
    return Decimal(units).scaleb(quick.exponent, _EXACT)


def most(
    rates: Rates | None,
    input_tokens: int,
    output_tokens: int,
    *,
    service: str = STANDARD,
    at_ms: int = 0,
    text_only: bool = False,
) -> int:
    """The micro-dollars to reserve for `upper_bound`."""
    if rates is None:
        return 0
    quick = plain(rates)
    units = None if quick is None else quick.most_units(input_tokens, output_tokens, service, text_only)
    if quick is None or units is None:
        return money.charge(_slow_bound(rates, input_tokens, output_tokens, service, at_ms, text_only, {}))
    return -(-units // quick.per_micro)


def _slow_cost(rates: Rates, usage: Usage, service: str, at_ms: int) -> Decimal:
    micro = _NOTHING
    for kind, count, price in _parts(_sheet(rates, service, at_ms), usage):
        micro = _EXACT.add(micro, _amount(kind, count, price))
    return _with_margin(rates, micro)


def _slow_bound(
    rates: Rates,
    input_tokens: int,
    output_tokens: int,
    service: str,
    at_ms: int,
    text_only: bool,
    tools: Mapping[str, int],
) -> Decimal:
    served = rates.services.get(service) if service else None
    if served is None and rates.windows and not at_ms:
        sheets: tuple[Sheet, ...] = (rates, *rates.windows)
    else:
        sheets = (_sheet(rates, service, at_ms),)
    reached = [*sheets, *(tier for one in sheets for tier in one.tiers if tier.above < input_tokens)]
    dearest_in = max(dearest_input(prices, text_only) for prices in reached)
    dearest_out = max(dearest_output(prices) for prices in reached)
    micro = _EXACT.add(
        _EXACT.multiply(Decimal(input_tokens), dearest_in),
        _EXACT.multiply(Decimal(output_tokens), dearest_out),
    )
    micro = _EXACT.add(micro, max(prices.request for prices in reached).scaleb(6, _EXACT))
    for name, calls in tools.items():
        fee = max(prices.tools.get(name, _NOTHING) for prices in reached)
        micro = _EXACT.add(micro, _EXACT.multiply(Decimal(calls), fee.scaleb(3, _EXACT)))
    return _with_margin(rates, micro)


def in_effect(rates: Rates | None, later: tuple[Rates, ...], at_ms: int) -> Rates | None:
    """The set of prices of a moment: the last of `later` (oldest first) that has begun, else `rates`.

    A set without a version says that from its moment on no price is known.
    """
    for upcoming in reversed(later):
        if upcoming.from_ms <= at_ms:
            return upcoming if upcoming.version else None
    return rates


def _with_margin(rates: Rates, micro: Decimal) -> Decimal:
    if rates.margin:
        micro = _EXACT.multiply(micro, _EXACT.add(_HUNDRED, rates.margin))
        return micro.scaleb(-8, _EXACT)
    return micro.scaleb(-6, _EXACT)


def _amount(kind: str, count: int, price: Decimal) -> Decimal:
    micro = _EXACT.multiply(Decimal(count), price)
    # Divided last: most numbers of seconds are no decimal part of an hour.
    return _EXACT.divide(micro, _SECONDS) if kind == "hour" else micro


def _sheet(rates: Rates, service: str, at_ms: int) -> Sheet:
    if service and (found := rates.services.get(service)) is not None:
        return found
    if rates.windows:
        day, minute = divmod(at_ms // _MINUTE_MS, _DAY_MINUTES)
        weekday = (day + _FIRST_WEEKDAY) % 7
        for window in reversed(rates.windows):
            if weekday in window.days and _within(window, minute):
                return window
    return rates


def _within(window: Window, minute: int) -> bool:
    if window.start <= window.end:
        return window.start <= minute < window.end
    return minute >= window.start or minute < window.end


def _parts(sheet: Sheet, usage: Usage) -> Iterator[tuple[str, int, Decimal]]:
    """(kind, count, micro-dollars for one) of everything in a usage that has a price."""
    if not sheet.tiers:
        return _priced(sheet, usage)
    if sheet.marginal:
        return _marginal(sheet, usage)
    prices: Prices = sheet
    for tier in sheet.tiers:
        if usage.input > tier.above:
            prices = tier
    return _priced(prices, usage)


def _priced(prices: Prices, usage: Usage) -> Iterator[tuple[str, int, Decimal]]:
    yield from _input_parts(prices, usage)
    yield from _output_parts(prices, usage)
    if prices.request:
        yield "request", usage.requests, prices.request.scaleb(6, _EXACT)
    if usage.images and prices.image:
        yield "image", usage.images, prices.image.scaleb(6, _EXACT)
    if usage.seconds and prices.hour:
        yield "hour", usage.seconds, prices.hour.scaleb(6, _EXACT)
    if usage.characters and prices.characters:
        yield "characters", usage.characters, prices.characters
    if usage.pages and prices.pages:
        yield "pages", usage.pages, prices.pages.scaleb(3, _EXACT)
    for name, calls in usage.tools.items():
        if fee := prices.tools.get(name):
            yield f"tool {name}", calls, fee.scaleb(3, _EXACT)


def _input_parts(prices: Prices, usage: Usage) -> Iterator[tuple[str, int, Decimal]]:
    fresh, cached = usage.input, usage.cache_read
    if cached:
        fresh -= cached
    if usage.cache_write_5m:
        fresh -= usage.cache_write_5m
        yield "cache_write_5m", usage.cache_write_5m, _or(prices.cache_write_5m, prices.input)
    if usage.cache_write_1h:
        fresh -= usage.cache_write_1h
        # A provider with one price for writes has it for all of them.
        one_price = _or(prices.cache_write_5m, prices.input)
        yield "cache_write_1h", usage.cache_write_1h, _or(prices.cache_write_1h, one_price)
    if usage.audio_input or usage.image_input or usage.video_input:
        for kind, stored, count, price in _other_parts(prices, usage, max(0, fresh)):
            cached -= count if stored else 0
            fresh -= 0 if stored else count
            yield kind, count, price
    if cached:
        yield "cache_read", cached, _or(prices.cache_read, prices.input)
    if fresh > 0:
        yield "input", fresh, prices.input


def _other_parts(prices: Prices, usage: Usage, fresh: int) -> Iterator[tuple[str, bool, int, Decimal]]:
    """Sound, pictures and film where they have prices of their own: (kind, from the cache, count, price)."""
    cached = usage.cache_read
    for kind, count, from_cache, price, cached_price in (
        ("audio", usage.audio_input, usage.cached_audio, prices.audio_input, prices.cached_audio),
        ("image", usage.image_input, usage.cached_image, prices.image_input, prices.cached_image),
        ("video", usage.video_input, 0, prices.video_input, None),
    ):
        if not count or (price is None and cached_price is None):
            continue
        stored = min(from_cache, cached, count)
        if stored:
            cached -= stored
            otherwise = _or(prices.cache_read, _or(price, prices.input))
            yield f"cached_{kind}", True, stored, _or(cached_price, otherwise)
        apart = min(count - stored, fresh)
        if apart:
            fresh -= apart
            yield f"{kind}_input", False, apart, _or(price, prices.input)


def _output_parts(prices: Prices, usage: Usage) -> Iterator[tuple[str, int, Decimal]]:
    rest = usage.output
    if usage.reasoning or usage.audio_output or usage.image_output:
        for kind, count, price in (
            ("audio_output", usage.audio_output, prices.audio_output),
            ("image_output", usage.image_output, prices.image_output),
            ("reasoning", usage.reasoning, prices.reasoning),
        ):
            if count and price is not None and (apart := min(count, rest)):
                rest -= apart
                yield kind, apart, price
    if rest > 0:
        yield "output", rest, prices.output


def _marginal(sheet: Sheet, usage: Usage) -> Iterator[tuple[str, int, Decimal]]:
    """Each kind's tokens are cut at the bounds of the tiers, and each piece costs what its tier says."""
    bands: list[tuple[int, Prices]] = [(0, sheet), *((tier.above, tier) for tier in sheet.tiers)]
    by_band = [{kind: price for kind, _, price in _priced(prices, usage)} for _, prices in bands]
    for kind, count, price in _priced(sheet, usage):
        if kind not in _TOKEN_KINDS:
            yield kind, count, price
            continue
        for number, (above, _) in enumerate(bands):
            until = bands[number + 1][0] if number + 1 < len(bands) else count
            piece = min(count, until) - above
            if piece > 0:
                yield kind, piece, by_band[number].get(kind, price)


_TOKEN_KINDS = frozenset(
    (
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "audio_input",
        "image_input",
        "video_input",
        "cached_audio",
        "cached_image",
        "output",
        "reasoning",
        "audio_output",
        "image_output",
    )
)


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price

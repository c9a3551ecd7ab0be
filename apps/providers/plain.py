# SPDX-License-Identifier: Apache-2.0
"""Price lists as whole numbers: the short cut for calls that need nothing but a few products and a sum.

Most models have one price each for what is read and made; then no `Decimal` is needed before the end. Whatever a short
cut cannot say exactly it does not say at all: `rates` then goes the long way.
"""

from decimal import Context, Decimal

import msgspec

from apps.providers.price_list import Prices, Rates
from apps.providers.usage import MOST, Usage

EXACT = Context(prec=80)
_HUNDRED = Decimal(100)
_MOST_PLACES = 30
_KEPT = 4096
# What a usage must not have where the list has a price of its own for it.
_WATCHED = (
    ("audio_input", ("audio_input", "cached_audio")),
    ("image_input", ("image_input", "cached_image")),
    ("video_input", ("video_input",)),
    ("reasoning", ("reasoning",)),
    ("audio_output", ("audio_output",)),
    ("image_output", ("image_output",)),
    ("images", ("image",)),
    ("seconds", ("hour",)),
    ("characters", ("characters",)),
    ("pages", ("pages",)),
    ("tools", ("tools",)),
)


class Plain(msgspec.Struct, frozen=True):
    """Units for one token or request: `per_micro` of them are a micro-dollar, and 10**`exponent` dollars are one."""

    rates: Rates
    exponent: int
    per_micro: int
    # More tokens of input than that have other prices.
    limit: int
    watched: tuple[str, ...]
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    request: int
    dear_input: int
    dear_text_input: int
    dear_output: int

    def units(self, usage: Usage, service: str) -> int | None:
        """What a usage costs; None where that cannot be said here."""
        fresh = whole = usage.input
        if whole > self.limit or (service and service in self.rates.services):
            return None
        for name in self.watched:
            if getattr(usage, name):
                return None
        units = self.request * usage.requests if self.request else 0
        if count := usage.cache_read:
            fresh -= count
            units += count * self.cache_read
        if count := usage.cache_write_5m:
            fresh -= count
            units += count * self.cache_write_5m
        if count := usage.cache_write_1h:
            fresh -= count
            units += count * self.cache_write_1h
        if fresh > 0:
            units += fresh * self.input
        if (made := usage.output) > 0:
            units += made * self.output
        return units

    def most_units(self, read: int, made: int, service: str, text_only: bool) -> int | None:
        """The most that so many tokens can cost; None where that cannot be said here."""
        if read > self.limit or (service and service in self.rates.services):
            return None
        dearest = self.dear_text_input if text_only else self.dear_input
        return read * dearest + made * self.dear_output + self.request


def plain(rates: Rates) -> Plain | None:
    """The short cut of a price list, made once; None where it has none."""
    found = _made.get(id(rates))
    # An entry holds its list, so that no other can be given the same identity.
    if found is None or found[0] is not rates:
        if len(_made) >= _KEPT:
            _made.clear()
        found = _made[id(rates)] = (rates, _plain(rates))
    return found[1]


_made: dict[int, tuple[Rates, Plain | None]] = {}


def _plain(rates: Rates) -> Plain | None:
    if rates.windows or rates.marginal:
        return None
    one_write = _or(rates.cache_write_5m, rates.input)
    prices = {
        "input": rates.input,
        "output": rates.output,
        "cache_read": _or(rates.cache_read, rates.input),
        "cache_write_5m": one_write,
        "cache_write_1h": _or(rates.cache_write_1h, one_write),
        "request": rates.request.scaleb(6, EXACT),
        "dear_input": dearest_input(rates, text_only=False),
        "dear_text_input": dearest_input(rates, text_only=True),
        "dear_output": dearest_output(rates),
    }
    if rates.margin:
        factor = EXACT.add(_HUNDRED, rates.margin).scaleb(-2, EXACT)
        prices = {name: EXACT.multiply(price, factor) for name, price in prices.items()}
    places = 0
    for price in prices.values():
        exponent = price.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > _MOST_PLACES or price.adjusted() > _MOST_PLACES:
            return None
        places = max(places, -exponent)
    return Plain(
        rates=rates,
        exponent=-6 - places,
        per_micro=10**places,
        limit=rates.tiers[0].above if rates.tiers else MOST,
        watched=tuple(name for name, priced in _WATCHED if any(_has(rates, one) for one in priced)),
        **{name: int(price.scaleb(places, EXACT)) for name, price in prices.items()},
    )


def _has(prices: Prices, name: str) -> bool:
    price = getattr(prices, name)
    return price is not None if name in _OPTIONAL else bool(price)


_OPTIONAL = frozenset(field.name for field in msgspec.structs.fields(Prices) if field.default is None)


def dearest_input(prices: Prices, text_only: bool) -> Decimal:
    """The most that one token read can cost, in micro-dollars."""
    found = [prices.input, prices.cache_read, prices.cache_write_5m, prices.cache_write_1h]
    if not text_only:
        found += [prices.audio_input, prices.image_input, prices.video_input]
        found += [prices.cached_audio, prices.cached_image]
    return max(price for price in found if price is not None)


def dearest_output(prices: Prices) -> Decimal:
    """The most that one token made can cost, in micro-dollars."""
    found = (prices.output, prices.reasoning, prices.audio_output, prices.image_output)
    return max(price for price in found if price is not None)


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price

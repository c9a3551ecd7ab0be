# SPDX-License-Identifier: Apache-2.0
"""The short cut through whole numbers says what the long way says, to the last decimal, or says nothing."""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core import money
from apps.providers.plain import plain
from apps.providers.rates import (
    PriceList,
    Rates,
    Sheet,
    Tier,
    Window,
    bill,
    breakdown,
    cost,
    most,
    upper_bound,
)
from apps.providers.usage import Usage

D = Decimal
COUNT = st.integers(0, 3_000_000)
PRICE = st.decimals(0, 1000, places=7, allow_nan=False, allow_infinity=False)
MAYBE = st.none() | PRICE
SERVICE = st.sampled_from(("", "batch", "priority"))
NAMES = [name for name in Sheet.__struct_fields__ if name not in {"tiers", "marginal", "tools"}]
OPTIONAL = {field.name for field in msgspec.structs.fields(Sheet) if field.default is None}
PARTS = [name for name in Usage.__struct_fields__ if name not in {"input", "output", "tools", "requests"}]


@st.composite
def price_lists(draw: st.DrawFn) -> Rates:
    """Mostly lists of a few prices, as most are, and some of everything."""
    chosen = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    prices: dict[str, Any] = {name: draw(MAYBE if name in OPTIONAL else PRICE) for name in chosen}
    prices |= {"input": draw(PRICE), "output": draw(PRICE)}
    if draw(st.booleans()):
        prices["tiers"] = (Tier(above=100_000, input=draw(PRICE), output=draw(PRICE)),)
        prices["marginal"] = draw(st.booleans())
    if draw(st.booleans()):
        prices["services"] = {"batch": Sheet(input=draw(PRICE), output=draw(PRICE))}
    if draw(st.booleans()):
        prices["tools"] = {"web_search": draw(PRICE)}
    margin = draw(st.sampled_from((D(0), D("12.5"), D(-30))))
    return Rates(version="1", margin=margin, **prices)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Whole counts, now and then with parts."""
    counts = {name: draw(COUNT) for name in draw(st.lists(st.sampled_from(PARTS), max_size=3, unique=True))}
    tools = draw(st.sampled_from(({}, {"web_search": 3})))
    return Usage(
        input=draw(COUNT), output=draw(COUNT), requests=draw(st.integers(0, 3)), tools=tools, **counts
    )


def the_long_way(rates: Rates) -> Rates:
    """The same prices said twice, which no short cut can take."""
    own = {name: getattr(rates, name) for name in Sheet.__struct_fields__}
    long = msgspec.structs.replace(rates, windows=(Window(**own, start=0, end=1440),))
    assert plain(long) is None
    return long


@settings(max_examples=300, deadline=None)
@given(price_lists(), usages(), SERVICE)
def test_cost_is_what_the_long_way_says(rates: Rates, usage: Usage, service: str) -> None:
    expected = cost(the_long_way(rates), usage, service)

    assert cost(rates, usage, service) == expected
    assert money.total(*(line.dollars for line in breakdown(rates, usage, service))) == expected
    assert bill(rates, usage, service) == (expected, money.charge(expected))


@settings(max_examples=300, deadline=None)
@given(price_lists(), COUNT, COUNT, SERVICE, st.booleans())
def test_the_bound_is_what_the_long_way_says(
    rates: Rates, read: int, made: int, service: str, text_only: bool
) -> None:
    long = the_long_way(rates)
    expected = upper_bound(long, read, made, service=service, text_only=text_only)

    assert upper_bound(rates, read, made, service=service, text_only=text_only) == expected
    assert most(rates, read, made, service=service, text_only=text_only) == money.charge(expected)


def test_usual_lists_have_a_short_cut() -> None:
    usual = PriceList(input=D("2.5"), output=D(10), cache_read=D("1.25"), audio_input=D(40))
    rates = Rates(**{name: getattr(usual, name) for name in PriceList.__struct_fields__}, version="1")
    short = plain(rates)

    assert short is not None
    assert short is plain(rates)
    assert short.units(Usage(input=10, output=1, cache_read=4), "") == 3000
    assert short.units(Usage(input=10, audio_input=5), "") is None


def test_a_list_with_the_identity_of_one_that_is_gone_has_its_own_prices() -> None:
    """Lists come and go with every edit; a place in memory that is used again means nothing."""
    for price in range(5000):
        assert cost(Rates(version="1", input=D(price)), Usage(input=1_000_000)) == price

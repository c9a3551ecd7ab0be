# SPDX-License-Identifier: Apache-2.0
"""Cost is exact, whatever a usage says; the bound is never below it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.values import decode, encode
from apps.providers.domain import Model
from apps.providers.rates import Rates, Sheet, Tier, Window, breakdown, cost, in_effect, upper_bound
from apps.providers.usage import Usage

D = Decimal
PLAIN = Rates(version="1", input=D("2.5"), output=D(10), cache_read=D("1.25"))
TIERED = Rates(
    version="1",
    input=D(1),
    output=D(4),
    tiers=(
        Tier(above=1000, input=D(2), output=D(6)),
        Tier(above=5000, input=D(3), output=D(9), request=D("0.5")),
    ),
)
FULL = Rates(
    version="1",
    input=D(1),
    output=D(2),
    cache_read=D("0.1"),
    cache_write_5m=D("1.25"),
    audio_input=D(10),
    cached_audio=D("0.5"),
    image_input=D(5),
    reasoning=D(3),
    audio_output=D(20),
    request=D("0.001"),
    image=D("0.04"),
    hour=D("0.36"),
    characters=D(15),
    pages=D(2),
    tools={"web_search": D(10)},
)
COUNT = st.integers(0, 2_000_000)
PRICE = st.decimals(0, 1000, places=6, allow_nan=False, allow_infinity=False)


def millionths(**kinds: Any) -> Decimal:
    """Dollars from (count, price) pairs, as whole numbers."""
    return sum((D(count) * D(price) for count, price in kinds.values()), D(0)) / 1_000_000


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(input=1000, output=500), "0.0075"),
        (Usage(input=1000, output=500, cache_read=400), "0.007"),
        # Without prices of their own, parts cost what they are a part of.
        (Usage(input=1000, output=500, cache_write_5m=300, cache_write_1h=100, reasoning=400), "0.0075"),
        (Usage(input=1000, audio_input=1000, output=500, audio_output=500), "0.0075"),
        (Usage(), "0"),
        (Usage(input=1, output=0), "0.0000025"),
    ],
)
def test_plain_prices(usage: Usage, expected: str) -> None:
    assert cost(PLAIN, usage) == D(expected)


def test_no_price_costs_nothing() -> None:
    assert cost(None, Usage(input=5)) == 0
    assert upper_bound(None, 5, 5) == 0


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # 400 of the sound were stored: 600 at 10, 400 at 0.5, 1000 other tokens at 1; plus the request.
        (Usage(input=2000, audio_input=1000, cache_read=400, cached_audio=400), "0.0082"),
        # Stored text and stored sound: 100 at 0.1, 400 at 0.5.
        (Usage(input=2000, audio_input=1000, cache_read=500, cached_audio=400), "0.00811"),
        (Usage(input=100, image_input=40), "0.00126"),
        # One price for writes counts for those that stay longer, too.
        (Usage(input=1000, cache_write_1h=1000), "0.00225"),
        (Usage(output=100, reasoning=60, audio_output=30), "0.0018"),
        (Usage(images=3), "0.121"),
        (Usage(seconds=100), "0.011"),
        (Usage(characters=2000), "0.031"),
        (Usage(pages=7), "0.015"),
        (Usage(tools={"web_search": 3, "other": 9}), "0.031"),
        (Usage(requests=4), "0.004"),
    ],
)
def test_every_kind_has_its_price(usage: Usage, expected: str) -> None:
    assert cost(FULL, usage) == D(expected)
    assert sum(line.dollars for line in breakdown(FULL, usage)) == D(expected)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=10, cache_read=50),
        Usage(input=10, audio_input=50, cached_audio=99),
        Usage(output=10, reasoning=50, audio_output=50),
        Usage(input=10, cache_write_5m=10, audio_input=10),
    ],
)
def test_parts_that_exceed_their_whole_never_cost_less_than_nothing(usage: Usage) -> None:
    assert all(line.count > 0 and line.dollars >= 0 for line in breakdown(FULL, usage))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(1000, "0.005"), (1001, "0.008002"), (5000, "0.016"), (5001, "0.524003")],
)
def test_a_tier_counts_for_the_whole_request(tokens: int, expected: str) -> None:
    assert cost(TIERED, Usage(input=tokens, output=1000)) == D(expected)


def test_marginal_tiers_count_for_the_tokens_beyond_them_only() -> None:
    rates = Rates(version="1", input=D(1), output=D(4), tiers=TIERED.tiers, marginal=True)

    # 1000 at 1, 4000 at 2, 1000 at 3; of the output 1000 at 4 and 500 at 6.
    assert cost(rates, Usage(input=6000, output=1500)) == D("0.012") + D("0.007")
    assert [line.count for line in breakdown(rates, Usage(input=6000, output=1500))] == [
        1000,
        4000,
        1000,
        1000,
        500,
    ]


def test_seconds_are_exact_where_an_hour_cannot_be_cut() -> None:
    rates = Rates(version="1", hour=D("0.04"))

    assert cost(rates, Usage(seconds=90)) == D("0.001")
    assert cost(rates, Usage(seconds=3600 * 7)) == D("0.28")


def test_margin_is_added_to_everything() -> None:
    dearer = Rates(version="1", input=D(3), output=D(0), request=D(1), margin=D("12.5"))
    cheaper = Rates(version="1", input=D(3), output=D(0), margin=D("-100"))

    assert cost(dearer, Usage(input=1_000_000)) == D("4.5")
    assert upper_bound(dearer, 1_000_000, 0) == D("4.5")
    assert cost(cheaper, Usage(input=1_000_000)) == 0


def test_a_service_tier_has_its_prices_and_an_unknown_one_the_standard_ones() -> None:
    rates = Rates(version="1", input=D(2), output=D(4), services={"batch": Sheet(input=D(1), output=D(2))})

    usage = Usage(input=10, output=10)
    assert cost(rates, usage, "batch") == D("0.00003")
    assert cost(rates, usage, "default") == cost(rates, usage) == D("0.00006")
    assert upper_bound(rates, 10, 10, service="batch") == D("0.00003")


def test_hours_of_the_day_and_days_of_the_week() -> None:
    night = Window(start=22 * 60, end=4 * 60, input=D(1))
    weekend = Window(start=0, end=1440, days=(5, 6), input=D("0.5"))
    rates = Rates(version="1", input=D(2), windows=(night, weekend))
    hour, monday = 3_600_000, 4 * 86_400_000

    def price(at_ms: int) -> Decimal:
        return cost(rates, Usage(input=1_000_000), at_ms=at_ms)

    assert [price(monday + at * hour) for at in (0, 3, 4, 21, 22, 23)] == [1, 1, 2, 2, 1, 1]
    assert price(monday - hour) == price(monday - 25 * hour) == D("0.5")
    assert price(monday - 49 * hour) == 1


def test_without_a_moment_the_bound_is_that_of_the_dearest_hours() -> None:
    peak = Window(start=60, end=240, input=D(9), tiers=(Tier(above=10, input=D(20)),))
    rates = Rates(version="1", input=D(2), windows=(peak,), services={"batch": Sheet(input=D(1))})
    million, one_o_clock = 1_000_000, 3_600_000

    assert upper_bound(rates, million, 0) == 20
    assert upper_bound(rates, 10, 0) == D("0.00009")
    assert upper_bound(rates, million, 0, at_ms=one_o_clock) == 20
    assert upper_bound(rates, million, 0, at_ms=5 * one_o_clock) == 2
    assert upper_bound(rates, million, 0, service="batch") == 1
    assert upper_bound(rates, million, 0, service="default") == 20
    midnight = Window(start=0, end=60, input=D(1))
    cheaper = Rates(version="1", input=D(2), windows=(midnight,))
    assert upper_bound(cheaper, million, 0, service="default") == upper_bound(cheaper, million, 0) == 2


def test_prices_take_effect_at_their_moment() -> None:
    first, second = Rates(version="1", input=D(1)), Rates(version="2", from_ms=1000, input=D(2))
    gone = Rates(version="", from_ms=5000)
    model = Model(id="mdl_1", organisation_id="org_1", name="m", rates=first, later=(second, gone))

    assert [model.rates_at(at) for at in (0, 999, 1000, 4999, 5000)] == [first, first, second, second, None]
    assert in_effect(None, (), 7) is None
    assert decode(Model, encode(model)) == model


def test_a_value_of_the_version_before_is_read() -> None:
    raw = (
        b'{"v":1,"id":"mdl_1","organisation_id":"org_1","name":"m","rates":'
        b'{"version":"3","input":"1","output":"2","cached_input":"0.5","request":"0.25"}}'
    )
    rates = decode(Model, raw).rates

    assert rates == Rates(version="3", input=D(1), output=D(2), cache_read=D("0.5"), request=D("0.25"))


@given(COUNT, COUNT, COUNT, PRICE, PRICE, PRICE)
def test_cost_is_the_exact_sum(
    fresh: int, stored: int, made: int, a: Decimal, b: Decimal, c: Decimal
) -> None:
    rates = Rates(version="1", input=a, cache_read=b, output=c)

    found = cost(rates, Usage(input=fresh + stored, cache_read=stored, output=made))

    assert found == millionths(fresh=(fresh, a), stored=(stored, b), made=(made, c))


@given(st.data(), COUNT, COUNT, st.sampled_from(["", "batch"]), st.sampled_from([FULL, TIERED, PLAIN]))
def test_the_bound_is_never_below_the_cost(
    data: Any, most_in: int, most_out: int, service: str, rates: Rates
) -> None:
    used_in, used_out = data.draw(st.integers(0, most_in)), data.draw(st.integers(0, most_out))
    parts = {
        name: data.draw(st.integers(0, used_in))
        for name in (
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "audio_input",
            "image_input",
            "cached_audio",
        )
    }
    left = used_in
    for name in ("cache_read", "cache_write_5m", "cache_write_1h"):
        parts[name] = min(parts[name], left)
        left -= parts[name]
    made = {name: data.draw(st.integers(0, used_out)) for name in ("reasoning", "audio_output")}
    usage = Usage(input=used_in, output=used_out, **parts, **made)

    assert cost(rates, usage, service) <= upper_bound(rates, most_in, most_out, service=service)


def test_text_only_leaves_prices_of_sound_out() -> None:
    assert upper_bound(FULL, 1_000_000, 0, text_only=True) == D("1.251")
    assert upper_bound(FULL, 1_000_000, 0) == D("10.001")
    assert upper_bound(FULL, 0, 0, tools={"web_search": 2}) == D("0.021")

# SPDX-License-Identifier: Apache-2.0
"""Money is exact, and what is charged is never less than what it cost."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.core import money

TOKENS = st.integers(min_value=0, max_value=10**12)
RATES = st.decimals(min_value=0, max_value=10**6, places=9)


@given(TOKENS, RATES)
def test_a_charge_covers_the_cost_by_less_than_a_micro_dollar(tokens: int, rate: Decimal) -> None:
    cost = money.token_cost(tokens, rate)
    charged = money.dollars(money.charge(cost))

    assert cost <= charged < cost + Decimal("0.000001")


@given(st.lists(st.tuples(TOKENS, RATES), max_size=20))
def test_the_order_of_a_sum_does_not_matter(parts: list[tuple[int, Decimal]]) -> None:
    costs = [money.token_cost(*part) for part in parts]

    assert money.total(*costs) == money.total(*reversed(costs))


@given(TOKENS, TOKENS, RATES)
def test_splitting_tokens_changes_nothing(one: int, other: int, rate: Decimal) -> None:
    split = money.total(money.token_cost(one, rate), money.token_cost(other, rate))

    assert split == money.token_cost(one + other, rate)


def test_amounts_are_plain_digits() -> None:
    assert money.text(Decimal("0E-9")) == "0.00"
    assert money.text(Decimal("1E+3")) == "1000.00"
    assert money.text(Decimal("0.0000001500")) == "0.00000015"

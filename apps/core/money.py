# SPDX-License-Identifier: Apache-2.0
"""Money: exact `Decimal` US dollars for cost, whole micro-dollars for charges, never a float."""

from decimal import ROUND_CEILING, Context, Decimal

MICRO = 1_000_000
_EXACT = Context(prec=60)
_ONE = Decimal(1)
_NOTHING = Decimal(0)


def token_cost(tokens: int, per_million: Decimal) -> Decimal:
    """Exact dollars of a number of tokens at a rate in dollars per million tokens."""
    return _EXACT.multiply(Decimal(tokens), per_million).scaleb(-6, _EXACT)


def total(*parts: Decimal) -> Decimal:
    """The exact sum of dollar amounts."""
    whole = _NOTHING
    for part in parts:
        whole = _EXACT.add(whole, part)
    return whole


def charge(cost: Decimal) -> int:
    """Micro-dollars to charge for a cost: rounded up, so that nothing is ever given away by rounding."""
    return int(cost.scaleb(6, _EXACT).quantize(_ONE, ROUND_CEILING, _EXACT))


def dollars(micro: int) -> Decimal:
    """Exact dollars of a number of micro-dollars."""
    return Decimal(micro).scaleb(-6, _EXACT)


def text(amount: Decimal) -> str:
    """An amount as plain digits without an exponent or needless zeros, at least two decimals."""
    plain = f"{amount:f}"
    if "." not in plain:
        return plain + ".00"
    whole, _, fraction = plain.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def micro_text(micro: int) -> str:
    """A number of micro-dollars as dollars with at least two decimals; no `Decimal` is made."""
    sign = "-" if micro < 0 else ""
    whole, fraction = divmod(abs(micro), MICRO)
    if fraction % 10_000 == 0:
        return f"{sign}{whole}.{fraction // 10_000:02d}"
    return f"{sign}{whole}.{fraction:06d}".rstrip("0")

# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: thousands apart, units after a space that does not break, money exact."""

from decimal import ROUND_HALF_EVEN, Decimal

NBSP = "\u00a0"
_MICRO = Decimal("0.000001")


def whole(number: int) -> str:
    """1480 > `1,480`."""
    return f"{number:,}"


def milliseconds(microseconds: int) -> str:
    """Microseconds as milliseconds: two decimals below ten, one below a hundred, none above."""
    value = microseconds / 1000
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def about_milliseconds(microseconds: int) -> str:
    """Microseconds as whole milliseconds, for a column where magnitude is what one looks for."""
    return f"<{NBSP}1" if 0 < microseconds < 500 else f"{(microseconds + 500) // 1000:,}"


def duration(microseconds: int) -> str:
    """A length of time in the unit that suits it: `820 µs`, `9.5 ms`, `2.41 s`."""
    if microseconds < 1000:
        return f"{microseconds}{NBSP}µs"
    if microseconds < 1_000_000:
        value = microseconds / 1000
        return f"{value:.{1 if value < 100 else 0}f}{NBSP}ms"
    return f"{microseconds / 1_000_000:,.2f}{NBSP}s"


def exact_dollars(amount: Decimal) -> str:
    """Dollars with all six decimals, so that a column of them lines up."""
    return dollars(amount) if amount < _MICRO else f"{amount.quantize(_MICRO, ROUND_HALF_EVEN):,f}"


def dollars(amount: Decimal) -> str:
    """Dollars to the millionth, without needless zeros: `0`, `0.0117`, `4,200.00`; smaller than that says so."""
    if amount == 0:
        return "0"
    if 0 < amount < _MICRO:
        return f"<{NBSP}0.000001"
    whole_part, _, rest = f"{amount.quantize(_MICRO, ROUND_HALF_EVEN):,f}".partition(".")
    return f"{whole_part}.{rest.rstrip('0').ljust(2, '0')}"

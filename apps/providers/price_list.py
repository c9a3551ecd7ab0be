# SPDX-License-Identifier: Apache-2.0
"""Prices as providers publish them."""

from decimal import Decimal

import msgspec

_NOTHING = Decimal(0)


class Prices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Dollars per million tokens where no comment says otherwise; None costs as much as what it is a part of."""

    input: Decimal = _NOTHING
    output: Decimal = _NOTHING
    # The name on the wire is older than the one in the code.
    cache_read: Decimal | None = msgspec.field(default=None, name="cached_input")
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio_input: Decimal | None = None
    image_input: Decimal | None = None
    video_input: Decimal | None = None
    cached_audio: Decimal | None = None
    cached_image: Decimal | None = None
    reasoning: Decimal | None = None
    audio_output: Decimal | None = None
    image_output: Decimal | None = None
    # Dollars per request, per picture made, per hour, per million characters, per thousand pages.
    request: Decimal = _NOTHING
    image: Decimal = _NOTHING
    hour: Decimal = _NOTHING
    characters: Decimal = _NOTHING
    pages: Decimal = _NOTHING
    # Dollars per thousand calls of a tool that the provider runs itself.
    tools: dict[str, Decimal] = {}


class Tier(Prices, frozen=True, kw_only=True):
    """The prices, all of them, of a request with more than so many input tokens."""

    above: int


class Sheet(Prices, frozen=True, kw_only=True):
    """Prices with the tiers above them, lowest first.

    A tier counts for the whole request; with `marginal`, only for the tokens of each kind beyond its bound.
    """

    tiers: tuple[Tier, ...] = ()
    marginal: bool = False


class Window(Sheet, frozen=True, kw_only=True):
    """Prices of a part of the day: minutes after midnight UTC, on the days given (Monday is 0)."""

    start: int
    end: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


class PriceList(Sheet, frozen=True, kw_only=True):
    """All prices of a model: standard ones, those of service tiers, and those of parts of the day."""

    services: dict[str, Sheet] = {}
    windows: tuple[Window, ...] = ()


class Rates(PriceList, frozen=True, kw_only=True):
    """A price list in use.

    `version` names it on records. `from_ms` is the moment it takes effect. `margin` is added, in percent; below zero
    it is a discount.
    """

    version: str
    from_ms: int = 0
    margin: Decimal = _NOTHING

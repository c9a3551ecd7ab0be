# SPDX-License-Identifier: Apache-2.0
"""Providers, models and prices as gateways see them."""

from decimal import Decimal

import msgspec

from apps.core import money
from apps.core.values import Value
from apps.providers.usage import Usage as Usage

DIALECTS = ("openai",)
DEFAULT_OUTPUT_CAP = 4096


class Provider(Value, frozen=True, kw_only=True):
    """Where a dialect is spoken; `credential` is sealed under the key ring (purpose field, bound to the id)."""

    id: str
    organisation_id: str
    name: str
    dialect: str = "openai"
    base_url: str
    credential: str = ""
    connect_seconds: float = 5.0
    answer_seconds: float = 600.0
    silence_seconds: float = 120.0
    verify_tls: bool = True
    # Set where an operator, not a user, typed the address: private networks are then allowed.
    private_allowed: bool = False
    enabled: bool = True


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars per million tokens and per request, set by the operator; `version` names this set of rates."""

    version: str
    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached_input: Decimal | None = None
    request: Decimal = Decimal(0)


class Model(Value, frozen=True, kw_only=True):
    """A model under its public name; `rates` None means "no price known"."""

    id: str
    organisation_id: str
    name: str
    kind: str = "chat"
    output_cap: int = DEFAULT_OUTPUT_CAP
    context: int = 0
    rates: Rates | None = None
    default: bool = False
    enabled: bool = True
    created_ms: int = 0


def cost(rates: Rates | None, usage: Usage) -> Decimal:
    """Exact dollars of a call at a set of rates; nothing where no price is known."""
    if rates is None:
        return Decimal(0)
    cached_rate = rates.input if rates.cached_input is None else rates.cached_input
    cached = min(usage.cached, usage.input)
    return money.total(
        rates.request,
        money.token_cost(usage.input - cached, rates.input),
        money.token_cost(cached, cached_rate),
        money.token_cost(usage.output, rates.output),
    )

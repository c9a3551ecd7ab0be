# SPDX-License-Identifier: Apache-2.0
"""Providers, models and prices as gateways see them."""

from decimal import Decimal

from apps.core.values import Value
from apps.providers.rates import Rates, cost, in_effect
from apps.providers.usage import Usage

__all__ = [
    "CHAT",
    "DEFAULT_OUTPUT_CAP",
    "DIALECTS",
    "EMBEDDING",
    "LOCAL",
    "LOCAL_URL",
    "Model",
    "Provider",
    "Rates",
    "Usage",
    "cost",
]

DIALECTS = ("openai", "anthropic", "gemini")
# In place of a dialect: the embedding model inside every gateway process; no call to it leaves the process.
LOCAL, LOCAL_URL = "local", "local:"
CHAT, EMBEDDING = "chat", "embedding"
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
    # Dollars for a request that is passed through; None means "no price known".
    pass_price: Decimal | None = None
    pass_price_version: int = 0
    # Whose endpoint it is, by the ids of vendors.toml; empty for any other that speaks the dialect.
    vendor: str = ""


class Model(Value, frozen=True, kw_only=True):
    """A model under its public name; `rates` None means "no price known".

    `later` are the sets of prices that take effect after this value was made, oldest first.
    """

    v: int = 2
    id: str
    organisation_id: str
    name: str
    kind: str = CHAT
    output_cap: int = DEFAULT_OUTPUT_CAP
    context: int = 0
    rates: Rates | None = None
    default: bool = False
    enabled: bool = True
    created_ms: int = 0
    later: tuple[Rates, ...] = ()
    # Other names that clients may ask for it by.
    aliases: tuple[str, ...] = ()

    def rates_at(self, at_ms: int) -> Rates | None:
        """The prices of a moment: what takes effect by itself does so without another publication."""
        return in_effect(self.rates, self.later, at_ms) if self.later else self.rates

# SPDX-License-Identifier: Apache-2.0
"""Who sells or serves models: addresses and quirks from vendors.toml, checked once when they are read."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec

from apps.providers.dialects import TABLE as DIALECTS
from apps.providers.dialects.dialect import Dialect
from apps.providers.dialects.fitted import Fitted, Quirks

_OWN = re.compile(r"\{[a-z]+\}")


class Vendor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vendor as vendors.toml has it; `id` is the name of its table, and what a caller may put before a model."""

    id: str
    name: str
    base_url: str
    source: str
    checked: date
    dialect: str = "openai"
    auth: Literal["bearer", "header", "none"] = "bearer"
    auth_header: str = ""
    note: str = ""
    renames: dict[str, str] = {}
    drops: tuple[str, ...] = ()
    refuses: dict[str, str] = {}
    allows: dict[str, list[Any]] = {}
    headers: dict[str, str] = {}
    usage_in: tuple[Literal["x_groq", "choices"], ...] = ()
    usage_asked: bool = True

    @property
    def incomplete(self) -> bool:
        """Whether the address has words in braces that only the operator knows."""
        return _OWN.search(self.base_url) is not None

    @property
    def quirks(self) -> Quirks | None:
        """How the endpoint differs from its dialect; None where it does not."""
        found = Quirks(
            auth_header=self.auth_header if self.auth == "header" and self.dialect == "openai" else "",
            renames=tuple(self.renames.items()),
            drops=frozenset(self.drops),
            refuses={name: (why, tuple(self.allows.get(name, ()))) for name, why in self.refuses.items()},
            headers=tuple(self.headers.items()),
            usage_in=self.usage_in,
            usage_asked=self.usage_asked,
        )
        return None if found == Quirks() else found


def _read(text: str) -> dict[str, Vendor]:
    rows = tomllib.loads(text)
    return {name: msgspec.convert({"id": name, **row}, Vendor) for name, row in rows.items()}


VENDORS: Mapping[str, Vendor] = _read(Path(__file__).with_name("vendors.toml").read_text(encoding="utf-8"))
_FITTED: Mapping[str, Fitted] = {
    vendor.id: Fitted(quirks)
    for vendor in VENDORS.values()
    if vendor.dialect == "openai" and (quirks := vendor.quirks) is not None
}


def quirks_of(dialect: str, vendor: str) -> Quirks | None:
    """What a vendor cannot be told in a dialect; None for who has no quirks."""
    found = _FITTED.get(vendor) if dialect == Fitted.name else None
    return found.quirks if found is not None and found.quirks.refuses else None


def spoken(dialect: str, vendor: str) -> Dialect:
    """The dialect as a vendor speaks it: the plain one for who has no quirks, is not known, or speaks another."""
    plain = DIALECTS[dialect]
    return _FITTED.get(vendor, plain) if dialect == Fitted.name else plain

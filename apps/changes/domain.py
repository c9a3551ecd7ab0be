# SPDX-License-Identifier: Apache-2.0
"""Who acts, with which roles, and whether they may: values that every service takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any


class Role(StrEnum):
    """What a person may do; none of them means employee."""

    ADMIN = "admin"
    COMPLIANCE = "compliance"
    ENGINEER = "engineer"
    DEVELOPER = "developer"
    APPROVER = "approver"
    AUDITOR = "auditor"


class Forbidden(Exception):  # noqa: N818 - an answer, not a defect
    """The actor lacks the role; the text says which one is needed."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person, a person's token, or the system itself."""

    id: str
    name: str
    kind: str = "person"  # "person", "token" or "system"
    organisation_id: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    is_superuser: bool = False
    request_id: str = ""

    def has(self, *roles: Role) -> bool:
        """Whether the actor has one of the roles; superusers and the system have all."""
        return self.is_superuser or self.kind == "system" or bool(self.roles.intersection(roles))


def system(organisation_id: str = "", name: str = "Smartflow") -> Actor:
    """The actor of timed work and first start."""
    return Actor(id="system", name=name, kind="system", organisation_id=organisation_id, is_superuser=True)


def require(actor: Actor, *roles: Role) -> None:
    """Forbidden, unless the actor has one of the roles."""
    if not actor.has(*roles):
        wanted = " or ".join(role.value for role in roles)
        raise Forbidden(f"This needs the role {wanted}. Ask an administrator of your organisation for it.")


def require_same(actor: Actor, organisation_id: str) -> None:
    """Forbidden, unless the actor belongs to the organisation or sees all of them."""
    if not (actor.is_superuser or actor.kind == "system" or actor.organisation_id == organisation_id):
        raise Forbidden("This belongs to another organisation.")


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals and moments as text, sets sorted, everything else by its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        # PostgreSQL's JSON holds no NUL.
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Field -> [old, new] of everything that is not the same on both sides."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}

# SPDX-License-Identifier: Apache-2.0
"""Roles, the right to act, and what gateways need to know of an organisation."""

from enum import StrEnum

from apps.changes.domain import Actor, Forbidden, Role, require, require_same, system
from apps.core.values import Value

__all__ = [
    "TOKEN_PREFIX",
    "Actor",
    "Bodies",
    "Forbidden",
    "OrganisationSettings",
    "Role",
    "require",
    "require_same",
    "system",
]

TOKEN_PREFIX = "sf-pat-"  # noqa: S105 - how a token begins, not a token


class Bodies(StrEnum):
    """What an organisation keeps of prompts and answers."""

    OFF = "off"
    REDACTED = "redacted"
    FULL = "full"


class OrganisationSettings(Value, frozen=True, kw_only=True):
    """An organisation as gateways see it."""

    id: str
    name: str
    bodies: Bodies = Bodies.OFF
    demo: bool = False

# SPDX-License-Identifier: Apache-2.0
"""Policies as rows, made by the service."""

from typing import Any

from apps.changes.domain import Role
from apps.policies import services
from apps.policies.models import PolicyRow
from tests.control import House

CARDS = [{"kind": "pii", "params": {"entities": ["CREDIT_CARD"]}}]
EMAILS = [{"kind": "pii", "params": {"entities": ["EMAIL"]}}]


def create(of: House, name: str = "PCI card mask", **fields: Any) -> PolicyRow:
    values: dict[str, Any] = {"detectors": CARDS, "action": "redact", **fields}
    return services.create_policy(actor=of.actor(Role.COMPLIANCE), name=name, **values)

# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: virtual keys, and the budgets they count towards."""

from apps.keys.services.budgets import BudgetFields, change_budget, create_budget, delete_budget
from apps.keys.services.virtual_keys import (
    WRITERS,
    KeyFields,
    change_key,
    delete_key,
    disable_key,
    enable_key,
    issue_key,
    republish_for,
)

__all__ = [
    "WRITERS",
    "BudgetFields",
    "KeyFields",
    "change_budget",
    "change_key",
    "create_budget",
    "delete_budget",
    "delete_key",
    "disable_key",
    "enable_key",
    "issue_key",
    "republish_for",
]

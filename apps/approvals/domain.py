# SPDX-License-Identifier: Apache-2.0
"""Approval requests: their states, their faults, and who hears of a decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a request stands; only a pending one can change."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


class Decision(StrEnum):
    """What a second person says."""

    APPROVE = "approve"
    DENY = "deny"


class ConflictError(Exception):
    """The request is not in the state that this needs; the text says in which it is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended, as the room of its subject hears it."""

    id: str
    organisation_id: str
    subject_kind: str
    subject_id: str
    digest: str
    state: State
    requested_by: str
    decided_by: str | None
    limits: Mapping[str, Any]


Listener = Callable[[Outcome], None]
_listeners: dict[str, Listener] = {}


def register(subject_kind: str, listener: Listener) -> None:
    """Have a room called when a request about its kind of subject ends, inside the deciding transaction.

    Once per kind, when the app is ready. A fault of the listener undoes the decision.
    """
    _listeners[subject_kind] = listener


def tell(outcome: Outcome) -> None:
    """Call the room of the subject, if it asked to be."""
    listener = _listeners.get(outcome.subject_kind)
    if listener is not None:
        listener(outcome)

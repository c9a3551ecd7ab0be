# SPDX-License-Identifier: Apache-2.0
"""Policies as gateways see them, and the verdicts they lead to."""

from enum import StrEnum
from typing import Any

import msgspec

from apps.audit.domain import Evaluation
from apps.core.values import Value


class Action(StrEnum):
    """What a policy does with a match; the order of safety is in `SEVERITY`, never in the order of policies."""

    ALLOW = "allow"
    LOG = "log"
    REDACT = "redact"
    BLOCK = "block"


SEVERITY = {Action.ALLOW: 0, Action.LOG: 1, Action.REDACT: 2, Action.BLOCK: 3}


class Phase(StrEnum):
    """Which way the text goes."""

    INPUT = "input"
    OUTPUT = "output"


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector kind with its parameters, checked against the kind's schema before it is stored."""

    kind: str
    params: dict[str, Any] = {}


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Whose exchanges a policy looks at; an empty tuple means everybody's."""

    models: tuple[str, ...] = ()
    team_ids: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Policy(Value, frozen=True, kw_only=True):
    """One enforced version of a policy."""

    id: str
    organisation_id: str
    name: str
    version: int
    phases: tuple[Phase, ...] = (Phase.INPUT, Phase.OUTPUT)
    scope: Scope = Scope()
    detectors: tuple[Detector, ...] = ()
    action: Action = Action.BLOCK
    fail_closed: bool = True


class Facts(msgspec.Struct, frozen=True):
    """What a scope may ask about an exchange."""

    key_id: str = ""
    team_id: str = ""
    department: str = ""
    groups: tuple[str, ...] = ()
    model: str = ""


class Segment(msgspec.Struct, frozen=True):
    """A piece of text with the role it plays: system, user, assistant, tool, document, tool_call, reasoning."""

    role: str
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """What all policies in scope say of some segments; `texts` is None where nothing was rewritten.

    `reason` names the policy and what it found, for the person who sent the text; never the value.
    `failed` is True when a policy that fails closed could not be checked: the request must not go on.
    """

    action: Action
    evaluations: tuple[Evaluation, ...] = ()
    texts: tuple[str, ...] | None = None
    reason: str = ""
    failed: bool = False


NOTHING = Verdict(Action.ALLOW)

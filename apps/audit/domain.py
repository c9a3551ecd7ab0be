# SPDX-License-Identifier: Apache-2.0
"""The VAS record: one value per exchange that says everything that happened to it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from apps.core import money

READABLE = (1,)


class State(StrEnum):
    """Whether the end of an exchange is known."""

    OPEN = "open"
    DONE = "done"
    INTERRUPTED = "interrupted"


class Verdict(StrEnum):
    """What became of an exchange, in the words the pages use."""

    ALLOWED = "allowed"
    REDACTED = "redacted"
    BLOCKED = "blocked"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"


class UsageSource(StrEnum):
    """How sure the token counts are."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    CACHE = "cache"
    NONE = "none"
    UNKNOWN = "unknown"


class Stage(msgspec.Struct, frozen=True, array_like=True):
    """One stage: its name, when it began after the first byte, how long it took (both microseconds)."""

    name: str
    began_us: int
    took_us: int


class Attempt(msgspec.Struct, frozen=True):
    """One call to a target; `outcome` is ok, status, timeout, connect, cut, cancelled or too_large."""

    target_id: str
    target: str
    provider: str
    model: str
    began_us: int
    took_us: int
    status: int
    outcome: str


class Finding(msgspec.Struct, frozen=True):
    """What a detector found: its type and how often, in which segment; never the value."""

    type: str
    count: int
    segment: str


class Evaluation(msgspec.Struct, frozen=True):
    """One policy looked at one phase: `action` is allow, redact, block or error."""

    policy_id: str
    version: int
    name: str
    phase: str
    action: str
    took_us: int
    findings: tuple[Finding, ...] = ()


class PhaseTried(msgspec.Struct, frozen=True):
    """One cache phase: `result` is hit, miss or skipped."""

    phase: str
    result: str
    took_us: int = 0


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The VAS record of one exchange; the pipeline fills it, the journal keeps it.

    Times are microseconds after the first byte of the request; `id` carries the moment that byte came.
    `cost` is exact dollars, `charged` and `reserved` whole micro-dollars.
    """

    v: int = 1
    id: str
    organisation_id: str = ""
    state: State = State.OPEN
    # Who asked
    key_id: str = ""
    key_name: str = ""
    key_hint: str = ""
    person_id: str = ""
    person_name: str = ""
    email: str = ""
    department: str = ""
    groups: tuple[str, ...] = ()
    team_id: str = ""
    team_name: str = ""
    assurance: str = ""
    session_id: str = ""
    client_request_id: str = ""
    client_ip: str = ""
    user_agent: str = ""
    tags: tuple[str, ...] = ()
    demo: bool = False
    # What was asked
    path: str = ""
    dialect: str = ""
    stream: bool = False
    model_asked: str = ""
    model: str = ""
    # What became of it
    verdict: Verdict = Verdict.ALLOWED
    status: int = 0
    error_code: str = ""
    finish_reason: str = ""
    delivered_chars: int = 0
    approval_id: str = ""
    # Where it went
    target_id: str = ""
    target: str = ""
    provider: str = ""
    upstream_model: str = ""
    attempts: tuple[Attempt, ...] = ()
    # What policies and cache did
    bundle: str = ""
    evaluations: tuple[Evaluation, ...] = ()
    phases: tuple[PhaseTried, ...] = ()
    cache_hit: str = ""
    cache_key: str = ""
    saved: Decimal = Decimal(0)
    # What it used and cost
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    # All counts that the provider gave, as apps/providers/usage.py writes them, and the service tier it served.
    usage: dict[str, Any] = {}
    service_tier: str = ""
    # What the input was thought to be before the call, to be held against `input_tokens`.
    estimated_input: int = 0
    usage_source: UsageSource = UsageSource.NONE
    cost: Decimal = Decimal(0)
    charged: int = 0
    reserved: int = 0
    overrun: bool = False
    price_version: str = ""
    budget_ids: tuple[str, ...] = ()
    # The store's clock at admission, which chose the budget windows; 0 where nothing was admitted.
    admitted_ms: int = 0
    # The epoch of the counters that could not be asked, where it was admitted on a share; empty otherwise.
    guessed: str = ""
    # How long it took
    stages: tuple[Stage, ...] = ()
    total_us: int = 0
    upstream_us: int = 0
    first_byte_us: int = 0
    # Which process held it
    lease: str = ""
    body_stored: bool = False


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Sealed prompt and answer of one exchange, bound to its id; kept only where the organisation wants bodies."""

    v: int = 1
    id: str
    organisation_id: str
    subject: str
    prompt: bytes
    answer: bytes
    redacted: bool


@dataclass(frozen=True, slots=True)
class Charge:
    """What one recorded exchange was charged, to which budgets, at which moment of the store's clock."""

    id: str
    charged: int
    budget_ids: tuple[str, ...]
    accounted_at: datetime


_ENCODER = msgspec.json.Encoder(decimal_format="string")
_RECORDS = msgspec.json.Decoder(Record)
_BODIES = msgspec.json.Decoder(Body)


class RecordError(ValueError):
    """Stored bytes that are no record or body of a version this code reads; the text never holds the value."""


def encode_record(record: Record) -> bytes:
    """One line of JSON; text that UTF-8 cannot carry loses only the characters concerned."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_cleaned(msgspec.to_builtins(record, builtin_types=(Decimal,))))


def decode_record(raw: bytes | str) -> Record:
    """The record in some JSON, of this version or the one before it; else RecordError."""
    try:
        found = _RECORDS.decode(raw)
    except msgspec.MsgspecError as fault:
        raise RecordError(f"not a record: {fault}") from None
    if found.v not in READABLE:
        raise RecordError(f"a record of version {found.v} cannot be read")
    return found


def encode_body(body: Body) -> bytes:
    """One line of JSON; sealed bytes as base64."""
    return _ENCODER.encode(body)


def decode_body(raw: bytes) -> Body:
    """The body in some JSON; else RecordError."""
    try:
        found = _BODIES.decode(raw)
    except msgspec.MsgspecError as fault:
        raise RecordError(f"not a body: {fault}") from None
    if found.v not in READABLE:
        raise RecordError(f"a body of version {found.v} cannot be read")
    return found


def interrupted(record: Record) -> Record:
    """How an exchange is closed whose end nobody knows: usage unknown, charged its full reservation."""
    return msgspec.structs.replace(
        record,
        state=State.INTERRUPTED,
        verdict=Verdict.FAILED,
        error_code="interrupted",
        usage_source=UsageSource.UNKNOWN,
        charged=record.reserved,
        cost=money.dollars(record.reserved),
    )


def _cleaned(value: Any) -> Any:
    """Builtins without lone surrogates, which JSON allows a client to send and UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value

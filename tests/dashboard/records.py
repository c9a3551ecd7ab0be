# SPDX-License-Identifier: Apache-2.0
"""Records as the pipeline leaves them, for pages to show."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apps.audit.domain import (
    Attempt,
    Evaluation,
    Finding,
    PhaseTried,
    Record,
    Stage,
    State,
    UsageSource,
    Verdict,
)
from apps.core import ids

STAGES = (
    Stage("identify", 20, 40),
    Stage("inspect", 60, 840),
    Stage("admit", 900, 190),
    Stage("lookup", 1_090, 310),
    Stage("plan", 1_400, 30),
    Stage("send", 1_430, 2_402_000),
    Stage("review", 2_403_430, 1_720),
    Stage("record", 2_405_150, 410),
)
ATTEMPTS = (
    Attempt("tgt_1", "anthropic/us", "Anthropic", "claude-sonnet-4-6", 1_500, 211_600, 529, "status"),
    Attempt("tgt_2", "anthropic/eu", "Anthropic", "claude-sonnet-4-6", 466_000, 1_937_300, 200, "ok"),
)
FOUND = (
    Evaluation(
        "pol_1", 7, "PCI card mask", "input", "redact", 214, (Finding("card_number", 2, "message 1"),)
    ),
    Evaluation("pol_2", 12, "Prompt injection", "input", "allow", 402),
)


def record(organisation_id: str, at: datetime, **changes: Any) -> Record:
    """A redacted exchange with a failed first attempt, unless told otherwise."""
    values: dict[str, Any] = {
        "id": ids.at("req", int(at.timestamp() * 1000)),
        "organisation_id": organisation_id,
        "state": State.DONE,
        "key_name": "Claims desk",
        "key_hint": "sk-sf-4be1…c07d",
        "person_name": "Dana Whitfield",
        "email": "dana@alder.example",
        "department": "Claims",
        "groups": ("sg-claims-eu",),
        "team_name": "Claims",
        "assurance": "verified",
        "path": "/v1/chat/completions",
        "dialect": "openai",
        "model_asked": "claude-sonnet-4-6",
        "model": "claude-sonnet-4-6",
        "verdict": Verdict.REDACTED,
        "status": 200,
        "finish_reason": "stop",
        "target": "anthropic/eu",
        "provider": "Anthropic",
        "attempts": ATTEMPTS,
        "bundle": "b-2f90c1",
        "evaluations": FOUND,
        "phases": (PhaseTried("exact", "miss", 12),),
        "input_tokens": 1846,
        "output_tokens": 412,
        "usage_source": UsageSource.PROVIDER,
        "cost": Decimal("0.011718"),
        "charged": 11_718,
        "reserved": 36_000,
        "price_version": "2026-11-01",
        "stages": STAGES,
        "total_us": 2_412_000,
        "upstream_us": 2_402_000,
    }
    return Record(**(values | changes))


def quiet(organisation_id: str, at: datetime, **changes: Any) -> Record:
    """An allowed exchange that one target answered."""
    values: dict[str, Any] = {
        "verdict": Verdict.ALLOWED,
        "evaluations": FOUND[1:],
        "attempts": ATTEMPTS[1:],
    }
    return record(organisation_id, at, **(values | changes))


def day(organisation_id: str, now: datetime) -> list[Record]:
    """A day with one of everything, newest first."""
    at = iter(now - timedelta(minutes=11 * place + 1) for place in range(20))
    nothing: dict[str, Any] = {
        "attempts": (), "phases": (), "stages": STAGES[:2], "input_tokens": 0, "output_tokens": 0, "target": "",
        "cost": Decimal(0), "charged": 0, "reserved": 0, "total_us": 2_100, "upstream_us": 0,
    }  # fmt: skip
    hit: dict[str, Any] = {
        "cache_hit": "exact", "phases": (PhaseTried("exact", "hit", 12),), "attempts": (), "cost": Decimal(0),
        "charged": 0, "saved": Decimal("0.0021"), "total_us": 3_000, "upstream_us": 0, "target": "",
        "usage_source": UsageSource.CACHE, "stages": STAGES[:4], "model": "gpt-4o-mini",
    }  # fmt: skip
    amir: dict[str, Any] = {"person_name": "Amir Haddad", "team_name": "Legal"}
    robot: dict[str, Any] = {"person_name": "", "key_name": "claims-assistant"}
    blocked = (Evaluation("pol_1", 7, "PCI card mask", "input", "block", 214, FOUND[0].findings),)
    return [
        record(organisation_id, next(at), body_stored=True),
        quiet(organisation_id, next(at), **robot, **hit),
        quiet(organisation_id, next(at), **amir, cost=Decimal("0.045267"), total_us=9_841_000),
        record(organisation_id, next(at), **robot, **nothing, verdict=Verdict.HELD, status=403),
        record(
            organisation_id, next(at), **nothing, verdict=Verdict.BLOCKED, status=403,
            error_code="policy_blocked", evaluations=blocked, person_name="Lucía Ortega", team_name="Retail advice",
        ),
        quiet(
            organisation_id, next(at), **amir, verdict=Verdict.FAILED, status=502, error_code="upstream_error",
            attempts=ATTEMPTS[:1], cost=Decimal(0), charged=0, output_tokens=0,
        ),
        record(
            organisation_id, next(at), **nothing, verdict=Verdict.REFUSED, status=429,
            error_code="budget_exceeded", evaluations=(), person_name="", key_name="kyc-summariser",
        ),
        quiet(organisation_id, next(at), state=State.INTERRUPTED, usage_source=UsageSource.UNKNOWN),
        *(quiet(organisation_id, moment, **amir, total_us=1_118_000) for moment in at),
    ]  # fmt: skip

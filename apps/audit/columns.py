# SPDX-License-Identifier: Apache-2.0
"""How a record becomes a row: the columns that are filtered or sorted by, beside the whole record as JSON."""

from datetime import timedelta
from typing import Any

from apps.audit.domain import Body, Record
from apps.core import clock, ids

# As in apps/core/tenancy.py, which knows Django; the shipper does not.
SETTING, EVERYONE = "smartflow.organisation", "*"
# A signed 64-bit column holds no more; a provider that claims more is not believed.
_MOST = 2**63 - 1

RECORD = (
    "ts", "id", "organisation_id", "state", "key_id", "key_name", "person_id", "person_name", "team_id", "team_name",
    "model", "target", "provider", "path", "verdict", "status", "error_code", "stream", "cache_hit", "session_id",
    "bundle", "cost", "charged", "tokens", "total_us", "overhead_us", "budget_ids", "accounted_at", "lease",
    "position", "demo", "body_stored", "data",
)  # fmt: skip
BODY = ("ts", "id", "organisation_id", "subject", "prompt", "answer", "redacted")


def record_row(record: Record, payload: str, position: int = 0) -> tuple[Any, ...]:
    """The values of `RECORD`; ValueError when the id is not one of ours. `position` is the end of its line."""
    moment = ids.moment(record.id)
    return (
        moment, record.id, record.organisation_id, record.state.value, record.key_id, _text(record.key_name),
        record.person_id, _text(record.person_name), record.team_id, _text(record.team_name), _text(record.model),
        _text(record.target), _text(record.provider), _text(record.path), record.verdict.value, record.status,
        record.error_code, record.stream, record.cache_hit, _text(record.session_id), record.bundle, record.cost,
        record.charged, _whole(record.input_tokens + record.output_tokens), _whole(record.total_us),
        _whole(record.total_us - record.upstream_us), [_text(one) for one in record.budget_ids],
        _accounted(record, moment), record.lease, position, record.demo, record.body_stored, json_text(payload),
    )  # fmt: skip


def body_row(body: Body) -> tuple[Any, ...]:
    """The values of `BODY`; ValueError when the id is not one of ours."""
    return (
        ids.moment(body.id), body.id, body.organisation_id, _text(body.subject), body.prompt, body.answer, body.redacted,
    )  # fmt: skip


def _accounted(record: Record, moment: Any) -> Any:
    """When the store's clock admitted it: what decides into which budget window it falls."""
    if not record.admitted_ms:
        return moment
    admitted = clock.from_ms(record.admitted_ms)
    # A clock that is days off must not move money into another month.
    return admitted if abs(admitted - moment) < timedelta(days=1) else moment


def _whole(number: int) -> int:
    return min(max(number, 0), _MOST)


def _text(text: str) -> str:
    """PostgreSQL's text holds no NUL, which a client may well send."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def json_text(payload: str) -> str:
    """JSON without escaped NULs; an escaped backslash before `u0000` is not one."""
    if "\\u0000" not in payload:
        return payload
    parts = payload.split("\\\\")
    return "\\\\".join(part.replace("\\u0000", "\\ufffd") for part in parts)

# SPDX-License-Identifier: Apache-2.0
"""Prompts and answers, sealed for one exchange and the person or key it belongs to."""

from apps.audit.domain import Body, Record
from apps.core.keyring import KeyRing, Purpose


def seal_body(ring: KeyRing, record: Record, prompt: bytes, answer: bytes, *, redacted: bool = False) -> Body:
    """Prompt and answer sealed for one exchange and its subject; neither opens under another's id."""
    subject = record.person_id or record.key_id
    return Body(
        id=record.id,
        organisation_id=record.organisation_id,
        subject=subject,
        prompt=ring.seal(Purpose.BODY, prompt, _bound(record.organisation_id, subject, record.id, "prompt")),
        answer=ring.seal(Purpose.BODY, answer, _bound(record.organisation_id, subject, record.id, "answer")),
        redacted=redacted,
    )


def open_body(ring: KeyRing, body: Body) -> tuple[bytes, bytes]:
    """Prompt and answer of a sealed body; KeyRingError when it was changed, moved, or its key is gone."""
    return (
        ring.open(Purpose.BODY, body.prompt, _bound(body.organisation_id, body.subject, body.id, "prompt")),
        ring.open(Purpose.BODY, body.answer, _bound(body.organisation_id, body.subject, body.id, "answer")),
    )


def _bound(organisation_id: str, subject: str, record_id: str, part: str) -> str:
    return f"{organisation_id}/{subject}/{record_id}/{part}"

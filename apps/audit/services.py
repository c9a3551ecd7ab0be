# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: the logged reveal, and records of exchanges whose end nobody knows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.audit import columns, selectors
from apps.audit.bodies import open_body
from apps.audit.domain import Body, Record, encode_record, interrupted
from apps.audit.models import BodyRow, Correction, Reveal
from apps.changes.domain import Actor, Role, plain, require
from apps.changes.services import record as record_change
from apps.core import clock, ids
from apps.core.django_ring import ring
from apps.core.django_rows import scope
from apps.core.keyring import KeyRingError
from apps.core.tenancy import EVERYONE, OrganisationQuerySet, acting_for

REVEALERS = (Role.COMPLIANCE, Role.AUDITOR, Role.ADMIN)
LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Revealed:
    """Prompt and answer as text; both empty and `stored` False where no body was kept."""

    reveal_id: str
    stored: bool
    prompt: str = ""
    answer: str = ""
    redacted: bool = False
    # Why a stored body cannot be read, empty when it can.
    fault: str = ""


@transaction.atomic
def reveal(*, actor: Actor, record_id: str, reason: str) -> Revealed:
    """Read what was sent and answered, for a reason; the reading itself is written down before anything is shown.

    ObjectDoesNotExist for a record of another organisation, as for none at all.
    """
    require(actor, *REVEALERS)
    reason = str(plain(reason)).strip()
    if not reason:
        raise ValidationError({"reason": _("Write why you need to read it.")})
    if len(reason) > LONGEST_REASON:
        raise ValidationError({"reason": _("Use at most %(most)d characters.") % {"most": LONGEST_REASON}})
    record = selectors.get(scope(actor), record_id)
    if record is None:
        raise ObjectDoesNotExist("no such record")
    body = _body(record)
    row = Reveal(
        id=ids.new("rvl"), organisation_id=record.organisation_id, record_id=record.id, actor_id=actor.id,
        actor_name=actor.name[:200], reason=reason, had_body=body is not None,
    )  # fmt: skip
    row.save()
    record_change(
        actor=actor,
        organisation_id=record.organisation_id,
        verb="revealed",
        subject=record.id,
        subject_name=record.id,
        before=None,
        after={"reveal": row.pk, "body_stored": body is not None},
        reason=reason,
    )
    return _opened(row.pk, body)


def close_interrupted(records: Iterable[Record]) -> None:
    """Write records of exchanges whose process died: usage unknown, charged their full reservation.

    What is in the database already stays as it is.
    """
    closed = [interrupted(record) for record in sorted(records, key=lambda record: record.id)]
    rows = [columns.record_row(record, encode_record(record).decode()) for record in closed]
    if not rows:
        return
    listed = ", ".join(columns.RECORD)
    marks = ", ".join(["%s"] * len(columns.RECORD))
    with acting_for(EVERYONE), connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO audit_record ({listed}) VALUES ({marks}) ON CONFLICT (ts, id) DO NOTHING",  # noqa: S608
            rows,
        )


def mark_corrections_applied(correction_ids: Sequence[int]) -> None:
    """The spend counters know of these corrections now."""
    Correction.objects.filter(id__in=correction_ids, applied_at=None).update(applied_at=clock.now())


def _body(record: Record) -> Body | None:
    with acting_for(record.organisation_id):
        rows: OrganisationQuerySet[BodyRow] = OrganisationQuerySet(BodyRow).of(record.organisation_id)
        row = rows.filter(ts=ids.moment(record.id), id=record.id).first()
    if row is None:
        return None
    return Body(
        id=row.id,
        organisation_id=row.organisation_id,
        subject=row.subject,
        prompt=bytes(row.prompt),
        answer=bytes(row.answer),
        redacted=row.redacted,
    )


def _opened(reveal_id: str, body: Body | None) -> Revealed:
    if body is None:
        return Revealed(reveal_id, stored=False)
    try:
        prompt, answer = open_body(ring(), body)
    except KeyRingError as fault:
        return Revealed(reveal_id, stored=True, redacted=body.redacted, fault=str(fault))
    return Revealed(
        reveal_id,
        stored=True,
        prompt=prompt.decode("utf-8", "replace"),
        answer=answer.decode("utf-8", "replace"),
        redacted=body.redacted,
    )

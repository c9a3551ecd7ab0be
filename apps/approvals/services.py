# SPDX-License-Identifier: Apache-2.0
"""Asking, deciding, expiring: each in one transaction with its entry in the change log and its notice."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.approvals import domain
from apps.approvals.domain import ConflictError, Decision, Outcome, State
from apps.approvals.models import ApprovalRequest
from apps.changes.domain import Actor, plain
from apps.changes.services import record
from apps.core import clock, ids
from apps.core.django_rows import rows_of, scope
from apps.identity.domain import Forbidden, Role, require, system
from apps.notify.services import notify

LONGEST = timedelta(days=90)
DECIDERS = (Role.APPROVER, Role.ADMIN)
_BATCH = 200


@transaction.atomic
def request_approval(
    *,
    actor: Actor,
    subject_kind: str,
    subject_id: str,
    subject_name: str,
    digest: str = "",
    purpose: str = "",
    limits: Mapping[str, Any] | None = None,
    expires_at: datetime | None = None,
) -> ApprovalRequest:
    """Ask for an approval; without `expires_at` it waits a day.

    ConflictError when one about the same subject and digest waits already; it names that one's id.
    """
    moment = clock.now()
    ends = expires_at or moment + timedelta(days=1)
    if not moment < ends <= moment + LONGEST:
        raise ValidationError(
            {"expires_at": _("Choose a moment within the next %(days)d days.") % {"days": LONGEST.days}}
        )
    row = ApprovalRequest(
        id=ids.new("apr"), organisation_id=actor.organisation_id, subject_kind=subject_kind,
        subject_id=subject_id, subject_name=subject_name.strip() or subject_id, digest=digest, purpose=purpose,
        limits=plain(limits or {}), requested_by=actor.id, requested_by_name=actor.name[:200],
        requested_at=moment, expires_at=ends,
    )  # fmt: skip
    row.full_clean(validate_constraints=False)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        waiting = _pending_twin(row)
        if waiting is None:
            raise
        raise ConflictError(_("This waits for a decision already, as %(id)s.") % {"id": waiting.pk}) from None
    _record(actor, "approval.requested", row, None, purpose)
    notify(
        "approval.requested",
        row.organisation_id,
        title=_("%(who)s asks for %(what)s") % {"who": row.requested_by_name, "what": row.subject_name},
        text=row.purpose,
        link=_link(row),
        roles=DECIDERS,
        data=_facts(row),
        dedupe_key=f"approval.requested:{row.pk}",
    )
    return row


@transaction.atomic
def decide(*, actor: Actor, approval_id: str, decision: Decision, reason: str = "") -> ApprovalRequest:
    """Say yes or no as a second person; of two who decide at once, one does and the other gets ConflictError."""
    require(actor, *DECIDERS)
    row = rows_of(ApprovalRequest, scope(actor)).select_for_update().get(pk=approval_id)
    if actor.kind == "system":
        raise Forbidden(_("A person decides, never the system."))
    if row.requested_by == actor.id:
        raise Forbidden(_("You asked for this yourself. A second person must decide."))
    _refuse_ended(row)
    before = _facts(row)
    approved = decision is Decision.APPROVE
    row.state = (State.APPROVED if approved else State.DENIED).value
    row.decided_by, row.decided_by_name = actor.id, actor.name[:200]
    row.decided_at, row.reason = clock.now(), reason
    row.save(update_fields=["state", "decided_by", "decided_by_name", "decided_at", "reason"])
    _end(actor, "approval.approved" if approved else "approval.denied", row, before)
    return row


def expire_due() -> int:
    """End what has waited too long; how many there were. Safe to run twice at once."""
    ended = 0
    while True:
        with transaction.atomic():
            due = ApprovalRequest.objects.filter(state=State.PENDING.value, expires_at__lte=clock.now())
            rows = list(due.order_by("expires_at").select_for_update(skip_locked=True)[:_BATCH])
            for row in rows:
                before = _facts(row)
                row.state, row.decided_at = State.EXPIRED.value, clock.now()
                row.save(update_fields=["state", "decided_at"])
                _end(system(row.organisation_id), "approval.expired", row, before)
        ended += len(rows)
        if len(rows) < _BATCH:
            return ended


def _refuse_ended(row: ApprovalRequest) -> None:
    """ConflictError when the request is no longer pending."""
    if row.state in (State.APPROVED, State.DENIED):
        said = (
            _("%(who)s has approved this already.")
            if row.state == State.APPROVED
            else _("%(who)s has denied this already.")
        )
        raise ConflictError(said % {"who": row.decided_by_name})
    if row.state == State.EXPIRED or row.expires_at <= clock.now():
        raise ConflictError(_("This request has expired. It must be asked for again."))


def _pending_twin(row: ApprovalRequest) -> ApprovalRequest | None:
    """The pending request about the same subject and digest."""
    return (
        rows_of(ApprovalRequest, row.organisation_id)
        .filter(
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            digest=row.digest,
            state=State.PENDING.value,
        )
        .first()
    )


def _end(actor: Actor, verb: str, row: ApprovalRequest, before: dict[str, Any]) -> None:
    """What every ending has in common: the entry, the notice to whoever asked, the subject's room."""
    _record(actor, verb, row, before, row.reason)
    titles = {
        State.APPROVED.value: _("%(what)s was approved by %(who)s"),
        State.DENIED.value: _("%(what)s was denied by %(who)s"),
        State.EXPIRED.value: _("The request for %(what)s has expired"),
    }
    notify(
        f"approval.{row.state}",
        row.organisation_id,
        title=titles[row.state] % {"what": row.subject_name, "who": row.decided_by_name},
        text=row.reason,
        link=_link(row),
        people=[row.requested_by],
        data=_facts(row),
        dedupe_key=f"approval.{row.state}:{row.pk}",
    )
    domain.tell(
        Outcome(
            id=row.pk,
            organisation_id=row.organisation_id,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            digest=row.digest,
            state=State(row.state),
            requested_by=row.requested_by,
            decided_by=row.decided_by,
            limits=row.limits,
        )
    )


def _link(row: ApprovalRequest) -> str:
    return f"/approvals/{row.pk}"


def _facts(row: ApprovalRequest) -> dict[str, Any]:
    """A request as the change log and webhooks tell it."""
    facts: dict[str, Any] = plain(
        {
            "approval_id": row.pk, "subject_kind": row.subject_kind, "subject_id": row.subject_id,
            "subject_name": row.subject_name, "digest": row.digest, "state": row.state, "limits": row.limits,
            "requested_by": row.requested_by, "requested_by_name": row.requested_by_name,
            "expires_at": row.expires_at, "decided_by": row.decided_by, "decided_by_name": row.decided_by_name,
        }
    )  # fmt: skip
    return facts


def _record(
    actor: Actor, verb: str, row: ApprovalRequest, before: dict[str, Any] | None, reason: str
) -> None:
    record(
        actor=actor,
        organisation_id=row.organisation_id,
        verb=verb,
        subject=row.pk,
        subject_name=row.subject_name,
        before=before,
        after=_facts(row),
        reason=reason,
    )

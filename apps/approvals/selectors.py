# SPDX-License-Identifier: Apache-2.0
"""Reading approval requests."""

from django.db.models import QuerySet

from apps.approvals.domain import State
from apps.approvals.models import ApprovalRequest
from apps.core import clock
from apps.core.django_rows import rows_of, scope
from apps.identity.domain import Actor, Role

READERS = (Role.APPROVER, Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR)


def requests_for(actor: Actor, *, state: State | None = None) -> QuerySet[ApprovalRequest]:
    """What a person may see, newest first: the organisation's requests by role, else their own."""
    rows = rows_of(ApprovalRequest, scope(actor)).order_by("-id")
    if not actor.has(*READERS):
        rows = rows.filter(requested_by=actor.id)
    return rows.filter(state=state.value) if state else rows


def waiting_for(actor: Actor) -> QuerySet[ApprovalRequest]:
    """The queue of somebody who decides: what is pending and not their own, what ends first on top."""
    rows = rows_of(ApprovalRequest, scope(actor))
    return (
        rows.filter(state=State.PENDING.value, expires_at__gt=clock.now())
        .exclude(requested_by=actor.id)
        .order_by("expires_at")
    )


def latest(
    organisation_id: str, subject_kind: str, subject_id: str, digest: str = ""
) -> ApprovalRequest | None:
    """The newest request about a subject and digest, in whatever state."""
    rows = rows_of(ApprovalRequest, organisation_id)
    return (
        rows.filter(subject_kind=subject_kind, subject_id=subject_id, digest=digest).order_by("-id").first()
    )

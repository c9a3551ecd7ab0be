# SPDX-License-Identifier: Apache-2.0
"""Issuing and revoking personal tokens."""

import secrets
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.changes.services import record
from apps.core import clock, ids
from apps.core.django_ring import ring
from apps.core.tenancy import EVERYONE, OrganisationQuerySet
from apps.identity.domain import TOKEN_PREFIX, Actor, Forbidden, Role, require
from apps.identity.models import Person, PersonalToken

MOST_DAYS = 366
MOST_TOKENS = 50
USE_NOTED_EVERY = timedelta(minutes=1)


@transaction.atomic
def issue_token(
    *, actor: Actor, person_id: str, name: str, days: int = 90, not_after: datetime | None = None
) -> tuple[PersonalToken, str]:
    """A new token and its secret, which can be shown this once only; people issue their own.

    `not_after` is the end of the token that asks: what it issues must not outlive it.
    """
    if not (actor.id == person_id or actor.is_superuser or actor.kind == "system"):
        raise Forbidden("People issue their own tokens: a token acts in the name of its person.")
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": _("Choose from 1 to %(most)d days.") % {"most": MOST_DAYS}})
    person = Person.objects.select_for_update().get(pk=person_id, is_active=True)
    if person.tokens.filter(revoked_at=None, expires_at__gt=clock.now()).count() >= MOST_TOKENS:
        raise ValidationError(
            _("There are %(most)d tokens already. Revoke one first.") % {"most": MOST_TOKENS}
        )
    secret = TOKEN_PREFIX + secrets.token_hex(24)
    ends = clock.now() + timedelta(days=days)
    row = PersonalToken(
        id=ids.new("tok"),
        organisation_id=person.organisation_id,
        person=person,
        name=name.strip(),
        digest=ring().digest(secret),
        hint=secret[-4:],
        expires_at=min(ends, not_after) if not_after else ends,
    )
    row.full_clean()
    row.save()
    _record(actor, "token.issued", row, None, _facts(row))
    return row, secret


@transaction.atomic
def revoke_token(*, actor: Actor, token_id: str, reason: str = "") -> PersonalToken:
    """End a token now: one's own, or anybody's of the organisation as administrator."""
    everywhere = actor.is_superuser or actor.kind == "system"
    scope = EVERYONE if everywhere else actor.organisation_id
    rows: QuerySet[PersonalToken] = OrganisationQuerySet(PersonalToken).of(scope)
    if not actor.has(Role.ADMIN):
        # Somebody else's token is not there, for those who may not manage it.
        rows = rows.filter(person_id=actor.id)
    row = rows.select_for_update().get(pk=token_id)
    if row.person_id != actor.id:
        require(actor, Role.ADMIN)
    if row.revoked_at is None:
        before = _facts(row)
        row.revoked_at = clock.now()
        row.save(update_fields=["revoked_at"])
        _record(actor, "token.revoked", row, before, _facts(row), reason)
    return row


def note_use(token: PersonalToken) -> None:
    """Remember that a token was used, at most once a minute."""
    moment = clock.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=moment - USE_NOTED_EVERY)
    if token.last_used_at is None or token.last_used_at < moment - USE_NOTED_EVERY:
        OrganisationQuerySet(PersonalToken).filter(stale, pk=token.pk).update(last_used_at=moment)


def _facts(row: PersonalToken) -> dict[str, object]:
    return {
        "name": row.name,
        "person": row.person_id,
        "ends_in": row.hint,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }


def _record(
    actor: Actor,
    verb: str,
    row: PersonalToken,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
    reason: str = "",
) -> None:
    record(
        actor=actor,
        organisation_id=row.organisation_id,
        verb=verb,
        subject=row.pk,
        subject_name=row.name,
        before=before,
        after=after,
        reason=reason,
    )

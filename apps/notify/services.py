# SPDX-License-Identifier: Apache-2.0
"""Telling people and webhooks what happened, and keeping webhooks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor, Role, plain, require
from apps.changes.services import record
from apps.core import clock, ids, net
from apps.core.django_ring import ring
from apps.core.django_rows import rows_of, save_checked, scope
from apps.core.keyring import Purpose
from apps.notify.domain import EVENT, WANTED, DeliveryState, new_secret, shown_url, wants
from apps.notify.models import Delivery, Notice, NoticeRead, Webhook
from apps.notify.selectors import notices_for

MOST_WEBHOOKS = 50


@transaction.atomic
def notify(
    event: str,
    organisation_id: str,
    *,
    title: str,
    dedupe_key: str,
    text: str = "",
    link: str = "",
    people: Collection[str] = (),
    roles: Collection[Role] = (),
    data: Mapping[str, Any] | None = None,
) -> str | None:
    """Tell people (by id), everybody with some roles, and the webhooks that want the event; the notice's id.

    None when this organisation was told of `dedupe_key` before. `data` must hold no secret: it is sent out.
    """
    if EVENT.fullmatch(event) is None:
        raise ValueError(f"{event!r} is not the name of an event")
    notice = Notice(
        id=ids.new("ntf"), organisation_id=organisation_id, event=event, dedupe_key=dedupe_key,
        title=title[:200], text=text, link=link, people=sorted(set(people)),
        roles=sorted({Role(role).value for role in roles}), data=plain(data or {}),
    )  # fmt: skip
    try:
        with transaction.atomic():
            notice.save(force_insert=True)
    except IntegrityError:
        if rows_of(Notice, organisation_id).filter(dedupe_key=dedupe_key).exists():
            return None
        raise
    Delivery.objects.bulk_create(
        Delivery(id=ids.new("dlv"), organisation_id=organisation_id, webhook=webhook, notice=notice)
        for webhook in rows_of(Webhook, organisation_id).filter(enabled=True)
        if wants(webhook.events, event)
    )
    return notice.pk


@transaction.atomic
def mark_read(*, actor: Actor, notice_ids: Sequence[str] | None = None) -> int:
    """Mark some of the actor's notices as read, or all of them; how many there were."""
    rows = notices_for(actor, unread=True)
    if notice_ids is not None:
        rows = rows.filter(pk__in=notice_ids)
    reads = [
        NoticeRead(organisation_id=notice.organisation_id, notice=notice, person_id=actor.id)
        for notice in rows
    ]
    NoticeRead.objects.bulk_create(reads, ignore_conflicts=True)
    return len(reads)


@transaction.atomic
def create_webhook(
    *, actor: Actor, name: str, url: str, events: Collection[str], enabled: bool = True
) -> tuple[Webhook, str]:
    """A new webhook of the actor's organisation, and its secret, which can be shown this once only."""
    require(actor, Role.ADMIN)
    if rows_of(Webhook, actor.organisation_id).count() >= MOST_WEBHOOKS:
        raise ValidationError(
            _("There are %(most)d webhooks already. Delete one first.") % {"most": MOST_WEBHOOKS}
        )
    row = Webhook(
        id=ids.new("hook"), organisation_id=actor.organisation_id, name=name.strip(), enabled=enabled,
        url=_checked_url(url), events=_checked_events(events),
    )  # fmt: skip
    secret = new_secret()
    row.secret = ring().seal(Purpose.FIELD, secret.encode(), row.pk)
    save_checked(row)
    _record(actor, "created", row, None, _facts(row))
    return row, secret


@transaction.atomic
def change_webhook(
    *,
    actor: Actor,
    webhook_id: str,
    name: str | None = None,
    url: str | None = None,
    events: Collection[str] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change what is given and leave the rest."""
    row = _webhook(actor, webhook_id)
    before = _facts(row)
    row.name = row.name if name is None else name.strip()
    row.url = row.url if url is None else _checked_url(url)
    row.events = row.events if events is None else _checked_events(events)
    row.enabled = row.enabled if enabled is None else enabled
    save_checked(row)
    _record(actor, "changed", row, before, _facts(row))
    return row


@transaction.atomic
def rotate_webhook_secret(*, actor: Actor, webhook_id: str) -> tuple[Webhook, str]:
    """Give a webhook a new secret, shown this once only; the old one signs nothing any more."""
    row = _webhook(actor, webhook_id)
    secret = new_secret()
    row.secret = ring().seal(Purpose.FIELD, secret.encode(), row.pk)
    row.save(update_fields=["secret"])
    _record(actor, "rotated the secret of", row, None, None)
    return row, secret


@transaction.atomic
def delete_webhook(*, actor: Actor, webhook_id: str) -> None:
    """Remove a webhook and what was on its way to it."""
    row = _webhook(actor, webhook_id)
    _record(actor, "deleted", row, _facts(row), None)
    row.delete()


@transaction.atomic
def retry_delivery(*, actor: Actor, delivery_id: str) -> Delivery:
    """Try a delivery that was given up again, from the first attempt on."""
    require(actor, Role.ADMIN)
    row = rows_of(Delivery, scope(actor)).select_for_update().get(pk=delivery_id)
    if row.state == DeliveryState.FAILED:
        row.state, row.attempts = DeliveryState.WAITING.value, 0
        row.next_at, row.finished_at = clock.now(), None
        row.save(update_fields=["state", "attempts", "next_at", "finished_at"])
        _record(actor, "retried a delivery to", row.webhook, None, {"delivery": row.pk})
    return row


def _webhook(actor: Actor, webhook_id: str) -> Webhook:
    require(actor, Role.ADMIN)
    return rows_of(Webhook, scope(actor)).select_for_update().get(pk=webhook_id)


def _checked_url(url: str) -> str:
    try:
        net.check_url(url.strip(), settings.OUTBOUND_ALLOW)
    except net.AddressRefused as fault:
        raise ValidationError({"url": str(fault)}) from None
    return url.strip()


def _checked_events(events: Collection[str]) -> list[str]:
    unknown = sorted({str(event) for event in events if WANTED.fullmatch(str(event)) is None})
    if unknown or not events:
        raise ValidationError(
            {"events": _("Name events such as approval.requested, approval.* or *. Wrong: %(wrong)s.")
             % {"wrong": ", ".join(unknown) or _("nothing was named")}}
        )  # fmt: skip
    return sorted(set(events))


def _facts(row: Webhook) -> dict[str, Any]:
    return {"name": row.name, "url": shown_url(row.url), "events": row.events, "enabled": row.enabled}


def _record(
    actor: Actor, verb: str, row: Webhook, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    record(
        actor=actor,
        organisation_id=row.organisation_id,
        verb=verb,
        subject=row.pk,
        subject_name=row.name,
        before=before,
        after=after,
    )

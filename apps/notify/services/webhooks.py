# SPDX-License-Identifier: Apache-2.0
"""Keeping webhooks."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor, Role, require
from apps.changes.services import record
from apps.core import clock, ids, net
from apps.core.django_ring import ring
from apps.core.django_rows import rows_of, save_checked, scope
from apps.core.keyring import Purpose
from apps.notify.domain import WANTED, DeliveryState, new_secret, shown_url
from apps.notify.models import Delivery, Webhook

MOST_WEBHOOKS = 50


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
    _record(actor, "webhook.created", row, None, _facts(row))
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
    _record(actor, "webhook.changed", row, before, _facts(row))
    return row


@transaction.atomic
def rotate_webhook_secret(*, actor: Actor, webhook_id: str) -> tuple[Webhook, str]:
    """Give a webhook a new secret, shown this once only; the old one signs nothing any more."""
    row = _webhook(actor, webhook_id)
    secret = new_secret()
    row.secret = ring().seal(Purpose.FIELD, secret.encode(), row.pk)
    row.save(update_fields=["secret"])
    _record(actor, "webhook.secret_rotated", row, None, None)
    return row, secret


@transaction.atomic
def delete_webhook(*, actor: Actor, webhook_id: str) -> None:
    """Remove a webhook and what was on its way to it."""
    row = _webhook(actor, webhook_id)
    _record(actor, "webhook.deleted", row, _facts(row), None)
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
        _record(actor, "webhook.delivery_retried", row.webhook, None, {"delivery": row.pk})
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

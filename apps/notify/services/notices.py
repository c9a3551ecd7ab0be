# SPDX-License-Identifier: Apache-2.0
"""Telling people and webhooks what happened, once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from apps.changes.domain import Actor, Role, plain
from apps.core import ids
from apps.core.django_rows import rows_of
from apps.notify.domain import EVENT, wants
from apps.notify.models import Delivery, Notice, NoticeRead, Webhook
from apps.notify.selectors import notices_for


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

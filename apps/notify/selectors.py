# SPDX-License-Identifier: Apache-2.0
"""Reading notices, webhooks and deliveries."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.changes.domain import Actor
from apps.core.django_rows import rows_of
from apps.notify.models import Delivery, Notice, NoticeRead, Webhook


def notices_for(actor: Actor, *, unread: bool = False) -> QuerySet[Notice]:
    """The notices to a person, by id or by role, newest first; each with `is_read`."""
    read = Exists(NoticeRead.objects.filter(notice=OuterRef("pk"), person_id=actor.id))
    mine = Q(people__contains=[actor.id])
    if actor.roles:
        mine |= Q(roles__has_any_keys=sorted(actor.roles))
    rows = rows_of(Notice, actor.organisation_id).filter(mine).annotate(is_read=read).order_by("-id")
    return rows.filter(is_read=False) if unread else rows


def unread_count(actor: Actor, most: int = 100) -> int:
    """How many notices a person has not read, at most `most`."""
    return notices_for(actor, unread=True)[:most].count()


def webhooks(organisation_id: str) -> QuerySet[Webhook]:
    """The webhooks of an organisation, newest first."""
    return rows_of(Webhook, organisation_id).order_by("-id")


def deliveries(organisation_id: str, webhook_id: str = "") -> QuerySet[Delivery]:
    """Deliveries, newest first, of one webhook or all."""
    rows = rows_of(Delivery, organisation_id).select_related("notice", "webhook").order_by("-id")
    return rows.filter(webhook_id=webhook_id) if webhook_id else rows

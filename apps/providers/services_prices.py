# SPDX-License-Identifier: Apache-2.0
"""Writes of prices: what operators set for a time, and corrections of what records cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.changes.domain import Actor, Role, require
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids, money
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.providers.catalogue import catalogue
from apps.providers.models import Model, PriceCorrection, PriceOverride
from apps.providers.pricing import document, read_prices
from apps.providers.services import WRITERS

_AT_ONCE = 1000


class PriceFields(TypedDict, total=False):
    """What can be set on a price; `model_id` None means all models, `prices` None leaves the usual ones."""

    model_id: str | None
    starts_at: datetime
    ends_at: datetime | None
    prices: dict[str, Any] | None
    margin: Decimal


@dataclass(frozen=True, slots=True)
class Repriced:
    """A record and what it costs by other prices than before."""

    record_id: str
    recorded_at: datetime
    model_name: str
    cost_before: Decimal
    cost_after: Decimal
    version_before: str
    version_after: str


@transaction.atomic
def create_price(*, actor: Actor, reason: str = "", **fields: Unpack[PriceFields]) -> PriceOverride:
    """A price from a moment on; ValidationError by field, also where another one counts at the same time."""
    require(actor, *WRITERS)
    price = PriceOverride(id=ids.new(PriceOverride.KIND), organisation_id=actor.organisation_id)
    _set(price, fields)
    _save(price)
    _note(actor, "price.created", price, None, price_facts(price), reason)
    return price


@transaction.atomic
def change_price(
    *, actor: Actor, price_id: str, reason: str = "", **fields: Unpack[PriceFields]
) -> PriceOverride:
    """Set some fields and count the revision up; nothing is written where nothing changes. DoesNotExist."""
    require(actor, *WRITERS)
    price = rows_of(PriceOverride, scope(actor)).select_for_update().get(id=price_id)
    before, was = price_facts(price), price.model_id
    _set(price, fields)
    if before != price_facts(price):
        price.revision += 1
        _save(price)
        _note(actor, "price.changed", price, before, price_facts(price), reason)
        if was != price.model_id:
            _republish(price.organisation_id, was)
    return price


@transaction.atomic
def delete_price(*, actor: Actor, price_id: str, reason: str = "") -> None:
    """Take a price away; from now on it has never been there for records that are priced again. DoesNotExist."""
    require(actor, *WRITERS)
    price = rows_of(PriceOverride, scope(actor)).select_for_update().get(id=price_id)
    before = price_facts(price)
    delete_checked(price)
    _note(actor, "price.deleted", price, before, None, reason)


@transaction.atomic
def add_corrections(*, actor: Actor, organisation_id: str, reason: str, found: Sequence[Repriced]) -> None:
    """Note what records cost by corrected prices, and one entry in the change log for all of them."""
    require(actor, Role.ADMIN)
    if not reason.strip():
        raise ValidationError({"reason": _("Say why the records are priced again.")})
    if not found:
        return
    rows = [
        PriceCorrection(
            id=ids.new(PriceCorrection.KIND),
            organisation_id=organisation_id,
            record_id=one.record_id,
            recorded_at=one.recorded_at,
            model_name=one.model_name,
            cost_before=one.cost_before,
            cost_after=one.cost_after,
            version_before=one.version_before,
            version_after=one.version_after,
            reason=reason,
            actor_id=actor.id,
            actor_name=actor.name[:200],
        )
        for one in found
    ]
    PriceCorrection.objects.bulk_create(rows, batch_size=_AT_ONCE)
    record(
        actor=actor,
        organisation_id=organisation_id,
        verb="prices.rerated",
        subject=rows[0].id,
        subject_name=_("Corrected cost of records"),
        before={"cost": money.text(money.total(*(one.cost_before for one in found)))},
        after={
            "cost": money.text(money.total(*(one.cost_after for one in found))),
            "records": len(found),
            "from": min(one.recorded_at for one in found),
            "until": max(one.recorded_at for one in found),
        },
        reason=reason,
    )


def lock_corrections(organisation_id: str) -> None:
    """Hold until the transaction ends what keeps two runs from correcting the same records."""
    _lock(f"price corrections {organisation_id}")


@transaction.atomic
def publish_catalogue() -> int:
    """Publish every model again, and its targets, that was last published with an older catalogue; how many."""
    digest = catalogue().meta.digest
    # Also those that are not linked to it: their targets may have prices in it.
    older = rows_of(Model, "*").exclude(catalogue_digest=digest)
    rows = list(older.select_for_update(skip_locked=True))
    for row in rows:
        row.catalogue_digest = digest
        row.save(update_fields=["catalogue_digest"])
        enqueue("models", row.organisation_id, row.id)
    return len(rows)


def price_facts(price: PriceOverride) -> dict[str, Any]:
    """What the change log and the API show."""
    return {
        "model_id": price.model_id,
        "starts_at": price.starts_at,
        "ends_at": price.ends_at,
        "prices": price.prices,
        "margin": money.text(Decimal(price.margin)),
    }


def _set(price: PriceOverride, fields: PriceFields) -> None:
    wanted: dict[str, Any] = dict(fields)
    if "prices" in wanted and wanted["prices"] is not None:
        try:
            wanted["prices"] = document(read_prices(wanted["prices"]))
        except ValueError as fault:
            raise ValidationError({"prices": str(fault)}) from None
    if wanted.get("model_id"):
        # Held, so that two prices of one model are checked one after the other, and nobody deletes it meanwhile.
        models = rows_of(Model, price.organisation_id).select_for_update(no_key=True)
        if models.filter(id=wanted["model_id"]).values_list("id", flat=True).first() is None:
            raise ValidationError({"model_id": _("There is no such model.")})
    for name, value in wanted.items():
        setattr(price, name, value)


def _save(price: PriceOverride) -> None:
    _lock(f"prices of {price.model_id or price.organisation_id}")
    others = (
        rows_of(PriceOverride, price.organisation_id).filter(model_id=price.model_id).exclude(id=price.id)
    )
    others = others.filter(Q(ends_at=None) | Q(ends_at__gt=price.starts_at))
    if price.ends_at is not None:
        others = others.filter(starts_at__lt=price.ends_at)
    other = others.order_by("starts_at").first()
    if other is not None:
        text = _("Another price counts at that time, from %s on. Let that one end first.")
        raise ValidationError({"starts_at": text % f"{other.starts_at:%Y-%m-%d %H:%M} UTC"})
    save_checked(price)


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _note(
    actor: Actor,
    verb: str,
    price: PriceOverride,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    record(
        actor=actor,
        organisation_id=price.organisation_id,
        verb=verb,
        subject=price.id,
        subject_name=str(price),
        before=before,
        after=after,
        reason=reason,
    )
    _republish(price.organisation_id, price.model_id)


def _republish(organisation_id: str, model_id: str | None) -> None:
    models = rows_of(Model, organisation_id)
    if model_id is not None:
        models = models.filter(id=model_id)
    for found in models.values_list("id", flat=True):
        enqueue("models", organisation_id, found)

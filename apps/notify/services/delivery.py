# SPDX-License-Identifier: Apache-2.0
"""Bringing notices to webhooks: claimed by one worker at a time, at least once, each attempt with a deadline."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.core import clock, net
from apps.core.django_ring import ring
from apps.core.keyring import KeyRingError, Purpose
from apps.notify.domain import MOST_ATTEMPTS, DeliveryState, pause, signature
from apps.notify.models import Delivery

BATCH = 16
SECONDS = 10.0
# A claim outlives every attempt; a worker that dies leaves the delivery to the next one after this.
CLAIMED = timedelta(seconds=60)
_GONE = 410
# It logs whole URLs, and the path of a webhook is often its secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that one attempt needs, so that no query is made while calls are under way."""

    delivery_id: str
    attempt: int
    url: str
    event_id: str
    body: bytes
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: a status, or a sentence about the fault."""

    status: int | None = None
    fault: str = ""

    @property
    def good(self) -> bool:
        """Whether the other side took it."""
        return self.status is not None and 200 <= self.status < 300


def deliver_due(most: int = BATCH) -> int:
    """Attempt the deliveries that are due; how many there were."""
    parcels = _claim(most)
    for parcel, answer in zip(parcels, asyncio.run(_send_all(parcels)), strict=True):
        _settle(parcel, answer)
    return len(parcels)


def _claim(most: int) -> list[Parcel]:
    """Take due deliveries that no other worker holds, and keep others off them for a while."""
    moment = clock.now()
    with transaction.atomic():
        due = (
            Delivery.objects.filter(state=DeliveryState.WAITING.value, next_at__lte=moment)
            .select_related("webhook", "notice")
            .order_by("next_at")
            .select_for_update(skip_locked=True, of=("self",))[:most]
        )
        rows = list(due)
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            attempts=F("attempts") + 1, next_at=moment + CLAIMED
        )
    parcels = []
    for row in rows:
        if row.webhook.enabled:
            parcel = _parcel(row)
            if parcel is not None:
                parcels.append(parcel)
        else:
            _close(row.pk, DeliveryState.FAILED, None, "The webhook is switched off.")
    return parcels


def _parcel(row: Delivery) -> Parcel | None:
    notice = row.notice
    try:
        secret = ring().open(Purpose.FIELD, bytes(row.webhook.secret), row.webhook_id).decode()
    except KeyRingError:
        _close(row.pk, DeliveryState.FAILED, None, "The webhook's secret cannot be read: give it a new one.")
        return None
    body = msgspec.json.encode(
        {
            "type": notice.event,
            "timestamp": notice.created_at.isoformat(),
            "id": notice.pk,
            "organisation_id": notice.organisation_id,
            "data": {**notice.data, "title": notice.title, "text": notice.text, "link": notice.link},
        }
    )
    return Parcel(row.pk, row.attempts + 1, row.webhook.url, notice.pk, body, secret)


async def _send_all(parcels: list[Parcel]) -> list[Answer]:
    """All attempts side by side; each has its own deadline, so one slow address holds nobody up."""
    if not parcels:
        return []
    # No proxy from the environment: the address that was checked must be the one that is called.
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=SECONDS) as client:
        return list(await asyncio.gather(*(_attempt(client, parcel) for parcel in parcels)))


async def _attempt(client: httpx.AsyncClient, parcel: Parcel) -> Answer:
    try:
        async with asyncio.timeout(SECONDS):
            return Answer(status=await _send(client, parcel))
    except net.AddressRefused as fault:
        return Answer(fault=str(fault))
    except TimeoutError:
        return Answer(fault=f"There was no answer within {SECONDS:.0f} seconds.")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as fault:
        return Answer(fault=f"The call failed: {type(fault).__name__}.")


async def _send(client: httpx.AsyncClient, parcel: Parcel) -> int:
    """One signed POST to the address that was checked; the answer's body is not read."""
    parts = urlsplit(parcel.url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    net.check_url(parcel.url, settings.OUTBOUND_ALLOW)
    address = await asyncio.to_thread(net.resolve_public, host, port, settings.OUTBOUND_ALLOW)
    timestamp = clock.now_ms() // 1000
    headers = {
        "host": parts.netloc,
        "content-type": "application/json",
        "user-agent": "Smartflow-Webhook/1",
        "webhook-id": parcel.event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(parcel.secret, parcel.event_id, timestamp, parcel.body),
    }
    url = httpx.URL(parcel.url).copy_with(host=address)
    # The certificate is checked against the name that was typed, not against the address.
    extensions = {"sni_hostname": host}
    async with client.stream(
        "POST", url, content=parcel.body, headers=headers, extensions=extensions
    ) as response:
        return response.status_code


def _settle(parcel: Parcel, answer: Answer) -> None:
    """Write down what came of an attempt, unless somebody has claimed the delivery anew meanwhile."""
    if answer.good:
        _close(parcel.delivery_id, DeliveryState.DELIVERED, answer.status, "", parcel.attempt)
        return
    fault = answer.fault or f"The answer was {answer.status}."
    if parcel.attempt >= MOST_ATTEMPTS or answer.status == _GONE:
        _close(parcel.delivery_id, DeliveryState.FAILED, answer.status, fault, parcel.attempt)
        return
    Delivery.objects.filter(
        pk=parcel.delivery_id, attempts=parcel.attempt, state=DeliveryState.WAITING.value
    ).update(status=answer.status, fault=fault[:300], next_at=clock.now() + pause(parcel.attempt))


def _close(
    delivery_id: str, state: DeliveryState, status: int | None, fault: str, attempt: int | None = None
) -> None:
    rows = Delivery.objects.filter(pk=delivery_id, state=DeliveryState.WAITING.value)
    if attempt is not None and state is DeliveryState.FAILED:
        rows = rows.filter(attempts=attempt)
    rows.update(state=state.value, status=status, fault=fault[:300], finished_at=clock.now())

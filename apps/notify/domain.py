# SPDX-License-Identifier: Apache-2.0
"""Signatures, matching and patience of webhooks, as pure functions."""

import base64
import binascii
import hmac
import random
import re
import secrets
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins, not a secret
EVENT = re.compile(r"^[a-z_]+(\.[a-z_]+)+$")
WANTED = re.compile(r"^(\*|[a-z_]+(\.[a-z_]+)*\.\*|[a-z_]+(\.[a-z_]+)+)$")
MOST_ATTEMPTS = 8
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=6)


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


def new_secret() -> str:
    """A fresh webhook secret in the form of Standard Webhooks: `whsec_` and 32 bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header (Standard Webhooks 1.0): `v1,` and HMAC-SHA-256 of `id.timestamp.body`."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not a webhook secret") from None
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def wants(events: list[str], event: str) -> bool:
    """Whether a webhook's list asks for an event: by its name, by `room.*`, or by `*`."""
    return any(
        wanted in ("*", event) or (wanted.endswith(".*") and event.startswith(wanted[:-1]))
        for wanted in events
    )


def pause(attempts: int) -> timedelta:
    """How long to wait after that many attempts: four times longer each time, spread by a tenth."""
    seconds = min(FIRST_PAUSE.total_seconds() * 4.0 ** max(0, attempts - 1), LONGEST_PAUSE.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, hides nothing


def shown_url(url: str) -> str:
    """A webhook's URL without what may be secret in it: path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"

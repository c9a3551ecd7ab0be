# SPDX-License-Identifier: Apache-2.0
"""The path of one chat request, as one sentence; every step returns a value, a refusal ends it."""

import msgspec

from apps.audit.domain import Verdict as Outcome
from apps.core.outcome import Refuse
from apps.gateway import after, before
from apps.gateway.exchange import Exchange
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream, replay
from apps.providers.stage import Sent


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, reviewed and ready to be recorded; JSON with status 200 unless it says otherwise."""

    body: bytes
    status: int = 200
    kind: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def chat(exchange: Exchange, rooms: Rooms, body: bytes, place: Place) -> Answer | Stream | Refuse:
    """Govern one chat request: identify was done from its head, the rest happens here in this order."""
    if refusal := before.understand(exchange, body, place.model, stream=place.stream):
        return refusal
    if refusal := before.inspect(exchange):
        return refusal
    if refusal := await before.admit(exchange, rooms):
        return refusal
    if refusal := await before.consult(exchange):
        return refusal
    stored = before.lookup(exchange)
    if stored is not None:
        return _deliver(exchange, rooms, stored)
    if exchange.wishes.cache == "only":
        return Refuse(
            "not_found", "No stored answer fits, and `x-smartflow-cache: only` asks for nothing else."
        )
    sent = await before.send(exchange, rooms)
    if isinstance(sent, Refuse):
        return sent
    if sent.incoming is not None:
        return Stream(exchange, rooms, sent)
    return _review(exchange, rooms, sent)


def _review(exchange: Exchange, rooms: Rooms, sent: Sent) -> Answer | Stream | Refuse:
    """Policies have the last word on a whole answer; a stream was asked for where the provider gave none."""
    reviewed = after.review(exchange, sent)
    if isinstance(reviewed, Refuse):
        return reviewed
    return _deliver(exchange, rooms, reviewed)


def _deliver(exchange: Exchange, rooms: Rooms, whole: bytes) -> Answer | Stream:
    """The answer in the form that was asked for."""
    request = exchange.request
    if request is not None and request.stream:
        return replay(exchange, rooms, whole)
    return Answer(whole)


def refused(exchange: Exchange, refusal: Refuse) -> None:
    """Write a refusal into the record."""
    record = exchange.record
    record.status, record.error_code = refusal.status, refusal.code
    if record.verdict in {Outcome.ALLOWED, Outcome.REDACTED}:
        failed = {
            "upstream_error",
            "upstream_timeout",
            "upstream_rejected",
            "internal_error",
            "client_closed",
        }
        record.verdict = Outcome.FAILED if refusal.code in failed else Outcome.REFUSED

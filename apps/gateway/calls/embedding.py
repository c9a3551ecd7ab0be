# SPDX-License-Identifier: Apache-2.0
"""Requests for vectors: governed like chats, except that there is no output to bound, to review or to keep.

Vectors are not kept in the cache in this version: every request goes to a target.
"""

import msgspec

from apps.core.outcome import Refuse
from apps.gateway import after, before
from apps.gateway.exchange import Exchange
from apps.gateway.local import Local
from apps.gateway.pipeline import Answer
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.surfaces.embeddings import Embeddings, has_tokens
from apps.gateway.surfaces.surface import ChatRequest
from apps.policies import stage as policies
from apps.providers import estimate
from apps.providers.stage import Sent

_encode = msgspec.json.Encoder().encode


async def run(exchange: Exchange, rooms: Rooms, body: bytes, place: Place) -> Answer | Refuse:
    """Govern one request for vectors: identify was done from its head, the rest happens here in this order."""
    if refusal := before.understand(exchange, body, place.model):
        return refusal
    if refusal := _readable(exchange) or before.inspect(exchange):
        return refusal
    if refusal := await before.admit(exchange, rooms):
        return refusal
    if refusal := await before.consult(exchange):
        return refusal
    if exchange.wishes.cache == "only":
        return Refuse(
            "not_found", "Vectors are not stored, and `x-smartflow-cache: only` asks for nothing else."
        )
    request = exchange.request
    assert request is not None  # noqa: S101 - understand came first
    # What is estimated, where a provider does not count, are the texts and not the JSON around them.
    request.size = _text_size(request)
    exchange.likely.clear()
    sent = await before.send(exchange, rooms, Local(rooms.embedder, rooms.client))
    return sent if isinstance(sent, Refuse) else _answered(exchange, request, sent)


def _readable(exchange: Exchange) -> Refuse | None:
    """Tokens cannot be read here, so they do not go past a policy that would have to."""
    view, request = exchange.view, exchange.request
    assert view is not None and request is not None  # noqa: S101, PT018 - understand came first
    if has_tokens(request.fields) and policies.holds_prompts(view.bundle, exchange.facts):
        text = "`input` holds tokens, which the policies of your organisation cannot read. Send texts."
        return Refuse("invalid_request", text, "input")
    return None


def _text_size(request: ChatRequest) -> int:
    if has_tokens(request.fields):
        given = request.fields["input"]
        tokens = sum(len(item) if isinstance(item, list) else 1 for item in given)
        return round(tokens * estimate.ALLOWANCES["openai"].bytes_per_token)
    return sum(len(slot.holder[slot.place].encode()) for slot in request.slots if slot.role == "user")


def _answered(exchange: Exchange, request: ChatRequest, sent: Sent) -> Answer | Refuse:
    """The vectors in the form that was asked for; the provider's own bytes where they have it."""
    whole, surface = sent.whole, exchange.surface
    assert whole is not None and isinstance(surface, Embeddings)  # noqa: S101, PT018 - nothing streams
    exchange.usage = whole.usage
    likely = estimate.likely(request.size, dialect=sent.route.dialect.name)
    tokens = whole.usage.input if whole.usage else likely
    body, raw = whole.body, sent.raw
    try:
        if sent.pair is not None and sent.ask is not None:
            body = sent.pair.answer(body, sent.ask)
        if surface.finished(body, request.fields, tokens) or sent.pair is not None:
            raw = _encode(body)
    except ValueError:
        return Refuse("upstream_error", "The provider's answer cannot be read.")
    after.keep_answer(exchange, raw, raw)
    return Answer(raw)

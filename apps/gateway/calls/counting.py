# SPDX-License-Identifier: Apache-2.0
"""Counting tokens: exact where the provider counts, else an estimate that says so; governed like a chat, and free."""

import msgspec

from apps.core.limits import ANSWER_SECONDS
from apps.core.outcome import Refuse
from apps.gateway import after, before
from apps.gateway.exchange import Exchange
from apps.gateway.pipeline import Answer
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream
from apps.providers import counting, estimate
from apps.providers import stage as providers
from apps.providers.stage import Question, Route
from apps.routing import stage as routing

_ESTIMATED = ((b"x-smartflow-estimated", b"true"),)
_encode = msgspec.json.Encoder().encode


async def run(exchange: Exchange, rooms: Rooms, body: bytes, place: Place) -> Answer | Stream | Refuse:
    """Govern one count: nothing is reserved and nothing charged, and it counts as a request."""
    exchange.free = True
    if refusal := before.understand(exchange, body, place.model):
        return refusal
    if refusal := before.inspect(exchange):
        return refusal
    if refusal := await before.admit(exchange, rooms):
        return refusal
    if refusal := await before.consult(exchange):
        return refusal
    routes = _routes(exchange)
    if isinstance(routes, Refuse):
        return routes
    answer = await _counted(exchange, rooms, counting.routes(routes))
    if answer is None:
        answer = Answer(_estimated(exchange, routes[0]), headers=_ESTIMATED)
    if isinstance(answer, Answer):
        after.keep_answer(exchange, answer.body, answer.body)
    return answer


def _routes(exchange: Exchange) -> list[Route] | Refuse:
    """Where a chat would go."""
    view, model, wanted, only_at = exchange.view, exchange.model, exchange.wishes.provider, exchange.only_at
    assert view is not None and model is not None  # noqa: S101, PT018 - understand came first
    usable = {
        key: value
        for key, value in view.providers.items()
        if (not wanted or value.name == wanted) and (only_at is None or key in only_at)
    }
    plan = routing.plan(view.table, model.id, model.name, usable)
    return plan if isinstance(plan, Refuse) else [view.routes[target.id] for target in plan]


async def _counted(exchange: Exchange, rooms: Rooms, routes: list[Route]) -> Answer | Refuse | None:
    """The provider's own count; None where it does not count."""
    if not routes:
        return None
    try:
        sent = await providers.send(
            rooms.client,
            routes,
            _question(exchange),
            exchange.tried,
            seconds=exchange.wishes.seconds or ANSWER_SECONDS,
        )
    finally:
        before.note_attempts(exchange)
    if isinstance(sent, Refuse):
        return None if counting.has_none(exchange.tried) else sent
    _note_target(exchange, sent.route)
    whole = sent.whole
    if sent.pair is None or sent.ask is None or whole is None:
        return Answer(sent.raw)
    return Answer(_encode(sent.pair.answer(whole.body, sent.ask)))


def _question(exchange: Exchange) -> Question:
    request, model = exchange.request, exchange.model
    assert request is not None and model is not None  # noqa: S101, PT018
    return Question(
        dialect=exchange.surface.name,
        fields=request.fields,
        stream=False,
        told=exchange.told,
        model=model.name,
        drop=exchange.wishes.drop,
        output_cap=model.output_cap,
        request_id=exchange.record.id,
        pairs=counting.PAIRS,
    )


def _estimated(exchange: Exchange, route: Route) -> bytes:
    """What the request likely has, by the figures of the dialect of whoever would answer it."""
    request = exchange.request
    assert request is not None  # noqa: S101
    _note_target(exchange, route)
    fields = counting.whole_of(request.fields)
    tokens = max(
        1,
        estimate.likely_input(
            _encode(fields), fields, dialect=route.dialect.name, upstream_model=route.upstream_model
        ),
    )
    return _encode({"totalTokens" if exchange.surface.name == "gemini" else "input_tokens": tokens})


def _note_target(exchange: Exchange, route: Route) -> None:
    record = exchange.record
    record.target_id, record.target = route.target_id, route.target
    record.provider, record.upstream_model = route.provider, route.upstream_model

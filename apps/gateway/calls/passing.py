# SPDX-License-Identifier: Apache-2.0
"""A request to any other path of a provider: governed like a chat, its shape left alone."""

import asyncio
from decimal import Decimal
from time import perf_counter_ns

import msgspec

from apps.audit.domain import Verdict as Outcome
from apps.core import money
from apps.core.http import Call, CallError, Incoming
from apps.core.limits import ANSWER_SECONDS, MAX_JSON_DEPTH
from apps.core.outcome import Refuse
from apps.gateway import after, before, places
from apps.gateway.calls import passing_address
from apps.gateway.calls.passing_address import Way
from apps.gateway.calls.passing_stream import PassedStream
from apps.gateway.calls.passing_texts import TEXT, Meter, Read, read, read_request, slots_of, without_odds
from apps.gateway.exchange import Exchange
from apps.gateway.names import admits
from apps.gateway.pipeline import Answer
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream
from apps.gateway.surfaces import TABLE
from apps.gateway.surfaces.reading import MOST_NAME
from apps.gateway.surfaces.surface import ChatRequest
from apps.gateway.texts import DepthError, Slot, characters
from apps.policies import stage as policies
from apps.policies.domain import Action, Facts, Phase, Segment
from apps.providers.domain import Model, Rates
from apps.providers.stage import Tried, refusal

# What a client may learn of the head of an answer.
_TOLD = ("retry-after", "request-id", "openai-version", "openai-processing-ms")
# About our credential, not about the request: whoever asks has no part in it.
_OURS = {401, 403, 407}
_MOST_LINE = 500


async def run(exchange: Exchange, rooms: Rooms, body: bytes, place: Place) -> Answer | Stream | Refuse:
    """Govern one request that is passed through: its way, its texts, its budget; then the call and its answer."""
    asked, caller, view = exchange.asked, exchange.caller, exchange.view
    assert asked is not None and caller is not None and view is not None  # noqa: S101, PT018 - identify came first
    way = passing_address.find(asked, view, caller.key)
    if isinstance(way, Refuse):
        exchange.record.path = places.PASSTHROUGH + "…"
        return way
    content = read_request(body, asked.headers.get(b"content-type", b"").decode("latin-1"))
    if isinstance(content, Refuse):
        return content
    if view.bodies == "full":
        exchange.prompt_kept = body
    if fault := _understand(exchange, way, content) or _readable(exchange, way, content):
        return fault
    if fault := before.inspect(exchange):
        return fault
    if fault := await before.admit(exchange, rooms):
        return fault
    if fault := await before.consult(exchange):
        return fault
    return await _call(exchange, rooms, way, content)


def _understand(exchange: Exchange, way: Way, content: Read) -> Refuse | None:
    """Fill in what the other steps look at: the dialect, the texts, the model if one is named, the price."""
    caller, record = exchange.caller, exchange.record
    assert caller is not None  # noqa: S101
    key, provider = caller.key, way.provider
    exchange.surface = TABLE[provider.dialect]
    record.dialect, record.provider = provider.dialect, provider.name
    told = content.value[0] if isinstance(content.value[0], dict) else {}
    named = told.get("model") if isinstance(told.get("model"), str) else way.model
    record.model_asked = str(named)[:MOST_NAME]
    public = _public_names(exchange, provider.id, str(named))
    if named and not any(admits(key.models, name) for name in public):
        return Refuse("model_not_allowed", f"Key {key.hint} may not use model “{named[:200]}”.", "model")
    known = next((name for name in public if admits(key.models, name)), "") if named else ""
    exchange.facts = Facts(key.id, key.team_id, key.department, key.groups, known)
    if provider.pass_price is None and caller.has_hard_budget:
        text = f"Provider “{provider.name}” has no price per passed request, and key {key.hint} has a hard budget."
        return Refuse("price_missing", text)
    slots: list[Slot] = []
    try:
        for value in (content.value, way.query, way.headers):
            slots_of(value, slots)
    except (DepthError, RecursionError):
        return Refuse("invalid_json", f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")
    record.stream = told.get("stream") is True or way.path.endswith(":streamGenerateContent")
    fields = {"method": way.method, "query": way.query, "body": content.value[0]}
    size = len(content.raw) if content.readable else 0
    exchange.request = ChatRequest(record.model_asked, fields, slots, record.stream, False, None, 1, size)
    exchange.model, exchange.fixed = _priced(way), money.charge(provider.pass_price or Decimal(0))
    # No answer is stored: what the provider does for such a request is not known.
    exchange.wishes = msgspec.structs.replace(exchange.wishes, provider=provider.name)
    return None


def _public_names(exchange: Exchange, provider_id: str, named: str) -> list[str]:
    """The public names of what a provider calls by some name, else that name."""
    view = exchange.view
    assert view is not None  # noqa: S101
    names = {
        target.model_id
        for targets in view.table.by_model.values()
        for target in targets
        if target.provider_id == provider_id and target.upstream_model == named
    }
    return sorted(model.name for model in view.models.values() if model.id in names) or [named]


def _priced(way: Way) -> Model:
    """What stands for a model: its one price is the provider's price per request."""
    provider = way.provider
    rates = None
    if provider.pass_price is not None:
        version = f"passthrough/{provider.id}@{provider.pass_price_version}"
        rates = Rates(version=version, request=provider.pass_price)
    return Model(id="", organisation_id=provider.organisation_id, name="", rates=rates)


def _readable(exchange: Exchange, way: Way, content: Read) -> Refuse | None:
    """Policies must be able to read what they decide on: all of the body, and a path that stays as it is."""
    view, record = exchange.view, exchange.record
    assert view is not None  # noqa: S101
    if not content.readable and policies.acts(view.bundle, exchange.facts, Phase.INPUT):
        text = "A policy of your organisation has to read the body, and it is neither JSON nor plain text in UTF-8."
        return Refuse("unscannable_body", text)
    verdict = policies.inspect(view.bundle, exchange.facts, [Segment("user", way.path)])
    if verdict.action is Action.ALLOW and not verdict.failed:
        return None
    # What was found must not stand in the record either.
    record.path = f"{places.PASSTHROUGH}{way.provider.name}/…"
    if verdict.failed or verdict.action is Action.LOG:
        return None
    exchange.add_evaluations(verdict.evaluations)
    record.verdict = Outcome.BLOCKED
    return Refuse("policy_blocked", f"{verdict.reason} It stands in the path, which cannot be rewritten.")


async def _call(exchange: Exchange, rooms: Rooms, way: Way, content: Read) -> Answer | Stream | Refuse:
    """Call the provider, once: whether it may be asked twice is not known of such a request."""
    began, incoming = perf_counter_ns(), None
    seconds = exchange.wishes.seconds or ANSWER_SECONDS
    try:
        async with asyncio.timeout(seconds if exchange.record.stream else None):
            incoming = await rooms.client.send(_request(exchange, way, content, seconds))
        kind = incoming.header("content-type")
        if fault := _unusable(incoming, way):
            incoming.close()
            _note(exchange, way, began, incoming.status, "status")
            return fault
        if incoming.status == 200 and kind.lower().startswith("text/event-stream"):
            exchange.record.stream = True
            return PassedStream(exchange, rooms, incoming, way.route, began)
        raw = await incoming.read()
    except asyncio.CancelledError:
        if incoming is not None:
            incoming.close()
        _note(exchange, way, began, 0, "cancelled")
        raise
    except (CallError, TimeoutError) as fault:
        outcome = fault.kind if isinstance(fault, CallError) else "timeout"
        _note(exchange, way, began, incoming.status if incoming else 0, outcome)
        return refusal(exchange.tried)
    except ValueError:
        return Refuse("invalid_request", "The request cannot be sent as it is.")
    _note(exchange, way, began, incoming.status, "ok" if incoming.status < 400 else "status")
    return _deliver(exchange, way, incoming, raw)


def _request(exchange: Exchange, way: Way, content: Read, seconds: float) -> Call:
    route, stream = way.route, exchange.record.stream
    told = {name: value for name, value in way.headers if name != "content-type" or content.raw}
    ours = tuple(
        (name, value)
        for name, value in route.dialect.headers(route.credential)
        if name not in told and (name != "content-type" or content.raw)
    )
    return Call(
        url=way.url(),
        headers=(*ours, *told.items(), ("x-request-id", exchange.record.id)),
        body=content.body(),
        connect=min(route.connect, seconds),
        silence=route.silence if stream else min(route.silence, seconds),
        total=None if stream else min(route.total, seconds),
        private_allowed=route.private_allowed,
        verify_tls=route.verify_tls,
        method=way.method,
    )


def _unusable(incoming: Incoming, way: Way) -> Refuse | None:
    """Heads that no client is shown."""
    name, status = way.provider.name, incoming.status
    if status in _OURS:
        return Refuse(
            "upstream_error",
            f"Provider “{name}” refused the credential that is set for it (status {status}).",
        )
    if not 200 <= status < 300 and not 400 <= status < 600:
        return Refuse(
            "upstream_error", f"Provider “{name}” answered with status {status}, which is not followed."
        )
    if incoming.header("content-encoding") not in {"", "identity"}:
        return Refuse("upstream_error", f"Provider “{name}” sent an encoded answer that was not asked for.")
    return None


def _deliver(exchange: Exchange, way: Way, incoming: Incoming, raw: bytes) -> Answer | Refuse:
    """Review a whole answer and hand it on under the provider's own status."""
    view, record, since = exchange.view, exchange.record, perf_counter_ns()
    assert view is not None  # noqa: S101
    secret = way.route.credential.encode()
    if secret and secret in raw:
        return Refuse("upstream_error", "The provider's answer holds a credential and is not handed on.")
    declared = incoming.header("content-type")
    try:
        content = read(raw, declared)
    except (ValueError, RecursionError):
        content = Read("bytes", [None], raw)
    if not content.readable and policies.acts(view.bundle, exchange.facts, Phase.OUTPUT):
        record.verdict = Outcome.BLOCKED
        text = "A policy of your organisation has to read the answer, and it is neither JSON nor plain text in UTF-8."
        return Refuse("policy_blocked", text)
    meter = Meter(way.provider.dialect)
    meter.take(content.value[0])
    exchange.usage, exchange.produced_chars = meter.usage, characters(content.value)
    try:
        fault, rewritten = before.review_values(exchange, [content.value])
    except DepthError:
        return Refuse("upstream_error", "The provider's answer cannot be read.")
    exchange.stage("review", since)
    if fault is not None:
        return fault
    body = raw
    if rewritten:
        without_odds(content.value)
        body = content.body()
    after.keep_answer(exchange, raw, body)
    if incoming.status >= 400:
        record.error_code = "upstream_rejected" if incoming.status < 500 else "upstream_error"
        record.verdict = Outcome.FAILED
        # What is not done is not paid for.
        exchange.usage, exchange.produced_chars = None, 0
    kind = _line(declared) or (b"text/plain; charset=utf-8" if content.kind == TEXT else b"application/json")
    told = tuple((name.encode(), line) for name in _TOLD if (line := _line(incoming.header(name))))
    return Answer(body, incoming.status, kind, told)


def _line(value: str) -> bytes:
    """A header's value from outside, empty where it cannot be handed on."""
    sound = value.isascii() and value.isprintable() and len(value) <= _MOST_LINE
    return value.encode() if sound else b""


def _note(exchange: Exchange, way: Way, began: int, status: int, outcome: str) -> None:
    exchange.tried.append(Tried(way.route, began, perf_counter_ns(), status, outcome))
    exchange.stage("send", began)
    before.note_attempts(exchange)

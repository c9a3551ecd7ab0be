# SPDX-License-Identifier: Apache-2.0
"""The steps up to the provider's answer: identify, understand, inspect, admit, consult, look up, send."""

from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import msgspec

from apps.audit.domain import Attempt, PhaseTried
from apps.audit.domain import Verdict as Outcome
from apps.audit.stage import open_record
from apps.cache import stage as cache
from apps.core import clock
from apps.core.http import Client
from apps.core.limits import ANSWER_SECONDS
from apps.core.outcome import Refuse
from apps.gateway import wire
from apps.gateway.exchange import Exchange
from apps.gateway.names import admits, resolve
from apps.gateway.reserving import planned, reserve
from apps.gateway.rooms import Rooms
from apps.gateway.snapshot import View
from apps.gateway.texts import Slot, collect, put_back
from apps.keys import stage as keys
from apps.keys.book import Missing
from apps.keys.domain import Caller, Key, OpenRecord
from apps.keys.store import Reservation
from apps.policies import stage as policies
from apps.policies.domain import Action, Facts, Verdict
from apps.providers import stage as providers

_encode = msgspec.json.Encoder().encode


async def identify(
    exchange: Exchange, rooms: Rooms, headers: Mapping[bytes, bytes], query_key: str = ""
) -> Refuse | None:
    """Step 1: who is calling, from memory; only a key's first use, or its first after an edit, needs Redis."""
    secret = keys.credential(headers, query_key)
    if isinstance(secret, Refuse):
        return secret
    key = keys.recognise(rooms.book, rooms.ring, secret)
    if isinstance(key, Missing):
        key = await keys.load(rooms.book, rooms.ring, secret)
    if isinstance(key, Refuse):
        return key
    _note_key(exchange, key)
    asked = wire.wishes(headers)
    if isinstance(asked, Refuse):
        return asked
    caller = keys.caller_of(rooms.book, key, asked.person)
    if isinstance(caller, Refuse):
        return caller
    view = rooms.snapshot.view(key.organisation_id)
    if view is None or rooms.snapshot.age > rooms.config.max_stale_s:
        text = "This process has no current configuration for your organisation. Send the request again."
        return Refuse("snapshot_unavailable", text, headers=keys.RETRY)
    exchange.caller, exchange.view, exchange.wishes = caller, view, asked
    record = exchange.record
    record.assurance, record.person_name, record.email = caller.assurance, caller.person_name, caller.email
    record.tags, record.session_id, record.client_request_id = (
        asked.tags,
        asked.session_id,
        asked.client_request_id,
    )
    exchange.stage("identify", exchange.began)
    return None


def understand(
    exchange: Exchange, body: bytes, model_in_path: str = "", *, stream: bool = False
) -> Refuse | None:
    """Read the body as far as we act on it, and find the model it names among those the key may use."""
    caller, view, record = exchange.caller, exchange.view, exchange.record
    assert caller is not None and view is not None  # noqa: S101, PT018 - identify came first
    request = exchange.surface.parse(body, model_in_path, stream=stream)
    if isinstance(request, Refuse):
        return request
    exchange.request, exchange.body = request, body
    if view.bodies == "full":
        exchange.prompt_kept = body
    record.stream, record.model_asked = request.stream, request.model
    if (exchange.wishes.target or exchange.wishes.provider) and not caller.key.may_override_route:
        text = f"Key {caller.key.hint} may not choose the model or provider by header."
        return Refuse("override_not_allowed", text, "x-smartflow-route-model")
    name = exchange.wishes.target or request.model
    model = view.models.get(name)
    if model is None:
        named = resolve(view.names, caller.key, name)
        if isinstance(named, Refuse):
            return named
        model, name, exchange.only_at = named.model, named.model.name, named.only_at
    if not model.enabled:
        return Refuse(
            "model_not_found",
            f"There is no model “{name}”. `GET /v1/models` lists those of your key.",
            "model",
        )
    if not admits(caller.key.models, name):
        text = f"Key {caller.key.hint} may not use model “{name}”. `GET /v1/models` lists those it may use."
        return Refuse("model_not_allowed", text, "model")
    exchange.model, record.model = model, name
    if model.kind != exchange.surface.kind:
        text = f"Model “{name}” is one for {model.kind}, and this is a request for {exchange.surface.kind}."
        return Refuse("invalid_request", text, "model")
    key = caller.key
    exchange.facts = Facts(key.id, key.team_id, key.department, key.groups, name)
    if request.output_limit is None and key.assumed_output_tokens is not None:
        # What is reserved must also be what the provider is held to.
        exchange.surface.limit_output(request, key.assumed_output_tokens)
    return None


def inspect(exchange: Exchange) -> Refuse | None:
    """Step 2: policies without I/O; what they rewrite is what every later step sees."""
    since = perf_counter_ns()
    view, request = exchange.view, exchange.request
    assert view is not None and request is not None  # noqa: S101, PT018 - understand came first
    exchange.record.bundle = view.bundle.digest
    if view.unreadable_policy:
        return _policy_failed("A policy of your organisation cannot be read by this process")
    verdict = policies.inspect(view.bundle, exchange.facts, request.slots)
    refusal = _apply(exchange, request.slots, verdict)
    if view.bodies == "redacted" and refusal is None:
        exchange.prompt_kept = _encode(request.fields)
    exchange.stage("inspect", since)
    return refusal


async def admit(exchange: Exchange, rooms: Rooms) -> Refuse | None:
    """Step 3: one round trip for every limit, the reservation, the open record, and the exact cache key."""
    since = perf_counter_ns()
    caller, view, request, model, record = (
        exchange.caller,
        exchange.view,
        exchange.request,
        exchange.model,
        exchange.record,
    )
    assert caller is not None and view is not None and request is not None and model is not None  # noqa: S101, PT018
    key, mode, chosen = caller.key, exchange.wishes.cache, exchange.wishes.provider or exchange.only_at
    # A stored answer may have come from another provider than the one asked for.
    exchange.cacheable = not chosen and exchange.surface.cacheable(request.fields, mode)
    if exchange.cacheable:
        record.cache_key = cache.digest(
            request.fields,
            exchange.surface.delivery(),
            dialect=exchange.surface.name,
            organisation_id=key.organisation_id,
            reader=reader_of(view, key),
            model_id=model.id,
            bundle=view.bundle.digest,
        )
    record.reserved = 0 if exchange.free else reserve(exchange)
    record.budget_ids = tuple(budget.id for budget in key.budgets)
    wish = Reservation(
        open=_open_record(exchange, rooms, caller),
        epoch=rooms.snapshot.epoch,
        cache_digest=record.cache_key or "none",
        probe=exchange.cacheable and mode != "refresh",
    )
    admission = await keys.admit(rooms.redis, rooms.book, caller, wish)
    exchange.stage("admit", since)
    if isinstance(admission, Refuse):
        return admission
    exchange.admission, record.lease = admission, rooms.lease
    record.admitted_ms = admission.admitted_ms
    if admission.open is None:
        record.reserved = 0
        return None
    rooms.under_way.admitted(record.id, admission)
    if admission.guessed:
        # The counters are to be told of it later, by this process or, after its death, by a sweeper.
        record.guessed = rooms.snapshot.epoch
    if rooms.journal is not None:
        # Also where the store has it: store and process may be lost together.
        return await open_record(rooms.journal, record)
    return None


def _open_record(exchange: Exchange, rooms: Rooms, caller: Caller) -> OpenRecord:
    """What a sweeper needs should this process die before the end."""
    record, key = exchange.record, caller.key
    seconds = exchange.wishes.seconds or ANSWER_SECONDS
    return OpenRecord(
        id=record.id,
        organisation_id=key.organisation_id,
        key_id=key.id,
        key_name=key.name,
        key_hint=key.hint,
        person_id=key.person_id,
        person_name=caller.person_name,
        team_id=key.team_id,
        team_name=key.team_name,
        model=record.model,
        path=record.path,
        lease=rooms.lease,
        budget_ids=record.budget_ids,
        reserved=record.reserved,
        deadline_ms=clock.now_ms() + int(seconds * 1000),
        demo=key.demo,
    )


async def consult(exchange: Exchange) -> Refuse | None:
    """Step 3b: tiers with an embedder or I/O, only where a policy in scope needs one."""
    view, request = exchange.view, exchange.request
    assert view is not None and request is not None  # noqa: S101, PT018
    verdict = await policies.consult(view.bundle, exchange.facts, request.slots)
    return (
        _apply(exchange, request.slots, verdict)
        if verdict.action is not Action.ALLOW or verdict.failed
        else None
    )


def lookup(exchange: Exchange) -> bytes | None:
    """Step 4: the answer admission found, reviewed again where bundle or reader changed since."""
    since = perf_counter_ns()
    caller, view, record, admission = exchange.caller, exchange.view, exchange.record, exchange.admission
    assert caller is not None and view is not None and admission is not None  # noqa: S101, PT018
    if not exchange.cacheable or exchange.wishes.cache == "refresh":
        record.phases = (PhaseTried("exact", "skipped"),)
        return None
    stored = cache.lookup(admission.answer)
    took = (exchange.stage("lookup", since) - since) // 1000
    if stored is None or stored.bundle != view.bundle.digest or stored.reader != reader_of(view, caller.key):
        # Both are part of the key: a difference means the entry was written by something we do not know.
        record.phases = (PhaseTried("exact", "miss", took),)
        return None
    record.phases = (PhaseTried("exact", "hit", took),)
    record.cache_hit, record.saved, record.target = "exact", stored.cost, stored.target
    record.input_tokens, record.output_tokens = stored.input_tokens, stored.output_tokens
    return bytes(stored.body)


async def send(exchange: Exchange, rooms: Rooms, client: Client | None = None) -> providers.Sent | Refuse:
    """Steps 5 and 6: plan the targets and call them in order, by another client where one is given."""
    since = perf_counter_ns()
    view, request, model, record = exchange.view, exchange.request, exchange.model, exchange.record
    assert view is not None and request is not None and model is not None  # noqa: S101, PT018
    plan = planned(exchange)
    since = exchange.stage("plan", since)
    if isinstance(plan, Refuse):
        return plan
    try:
        sent = await providers.send(
            client or rooms.client,
            [view.routes[target.id] for target in plan],
            _question(exchange),
            exchange.tried,
            seconds=exchange.wishes.seconds or ANSWER_SECONDS,
        )
    finally:
        exchange.stage("send", since)
        note_attempts(exchange)
    if isinstance(sent, providers.Sent):
        record.target_id, record.target = sent.route.target_id, sent.route.target
        record.provider, record.upstream_model = sent.route.provider, sent.route.upstream_model
        if sent.ask is not None:
            exchange.dropped = sent.ask.dropped
    return sent


def _question(exchange: Exchange) -> providers.Question:
    request, model = exchange.request, exchange.model
    assert request is not None and model is not None  # noqa: S101, PT018
    return providers.Question(
        dialect=exchange.surface.name,
        fields=request.fields,
        stream=request.stream,
        told=exchange.told,
        model=model.name,
        drop=exchange.wishes.drop,
        # A stream is always asked for its usage; whether the client sees it is decided when it is told.
        wants_usage=True,
        output_cap=model.output_cap,
        created=clock.now_ms() // 1000,
        request_id=exchange.record.id,
    )


def note_attempts(exchange: Exchange) -> None:
    """Write the attempts made so far into the record."""
    attempts: list[Attempt] = []
    upstream_us = 0
    for tried in exchange.tried:
        route, took = tried.route, (tried.ended - tried.began) // 1000
        began = (tried.began - exchange.began) // 1000
        upstream_us += took
        attempts.append(
            Attempt(
                route.target_id,
                route.target,
                route.provider,
                route.upstream_model,
                began,
                took,
                tried.status,
                tried.outcome,
            )
        )
    exchange.record.attempts = tuple(attempts)
    exchange.record.upstream_us = upstream_us


def review_values(exchange: Exchange, values: list[Any]) -> tuple[Refuse | None, bool]:
    """Have policies review the texts of an answer; whether one of them was rewritten. Counts what was produced."""
    view = exchange.view
    assert view is not None  # noqa: S101
    slots: list[Slot] = []
    for value in values:
        if isinstance(value, (dict, list)):
            collect(value, "assistant", slots)
    for slot in slots:
        exchange.produced_chars += len(slot.text)
    verdict = policies.review(view.bundle, exchange.facts, slots)
    return _apply(exchange, slots, verdict), verdict.texts is not None


def _apply(exchange: Exchange, slots: list[Slot], verdict: Verdict) -> Refuse | None:
    exchange.add_evaluations(verdict.evaluations)
    if verdict.failed:
        return _policy_failed(verdict.reason or "A policy could not be checked")
    if verdict.action is Action.BLOCK:
        exchange.record.verdict = Outcome.BLOCKED
        return Refuse("policy_blocked", verdict.reason)
    if verdict.texts is not None:
        put_back(slots, verdict.texts)
        exchange.record.verdict = Outcome.REDACTED
    return None


def _policy_failed(reason: str) -> Refuse:
    return Refuse(
        "policy_unavailable", f"{reason}, and it fails closed. Nothing was sent.", headers=keys.RETRY
    )


def reader_of(view: View, key: Key) -> str:
    """Who may share stored answers: a team, as far as policies treat its keys alike; a key without one shares with nobody."""
    parts = [key.team_id or key.id]
    if view.scoped:
        told = {"key_ids": key.id, "departments": key.department, "groups": ",".join(sorted(key.groups))}
        parts += [value for name, value in told.items() if name in view.scoped]
    return "\n".join(parts)


def _note_key(exchange: Exchange, key: Key) -> None:
    record = exchange.record
    record.organisation_id, record.key_id, record.key_name, record.key_hint = (
        key.organisation_id,
        key.id,
        key.name,
        key.hint,
    )
    record.person_id, record.department, record.groups = key.person_id, key.department, key.groups
    record.team_id, record.team_name, record.demo = key.team_id, key.team_name, key.demo

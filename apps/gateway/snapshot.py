# SPDX-License-Identifier: Apache-2.0
"""What this process knows of the configuration: one immutable view per organisation, swapped whole."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import hiredis
import msgspec

from apps.core import redis_names, values
from apps.core.keyring import KeyRing, KeyRingError, Purpose
from apps.core.redis import Redis, RedisDown
from apps.core.values import Value
from apps.gateway.names import Names, admits, index
from apps.identity.domain import OrganisationSettings
from apps.policies.domain import Policy
from apps.policies.engine import Bundle
from apps.providers.dialects import TABLE as DIALECTS
from apps.providers.dialects import embeddings
from apps.providers.dialects.dialect import Dialect
from apps.providers.domain import CHAT, EMBEDDING, LOCAL, Model, Provider
from apps.providers.stage import Route
from apps.providers.vendors import quirks_of, spoken
from apps.routing.domain import Table, Target

ROOMS: dict[str, type[Value]] = {
    "organisations": OrganisationSettings,
    "providers": Provider,
    "models": Model,
    "targets": Target,
    "policies": Policy,
}
POLL_SECONDS = 2.0
_KNOWN = {*DIALECTS, LOCAL}
KEYS_ROOM = "keys"


class Edit(msgspec.Struct, frozen=True):
    """What control tells after it published something; `id` is a digest for keys, room `*` means anything."""

    room: str
    id: str = ""
    organisation_id: str = ""


_edit = msgspec.json.Decoder(Edit).decode


@dataclass(frozen=True, slots=True)
class View:
    """One organisation's configuration, ready to be used without a look-up that can fail."""

    organisation_id: str
    bodies: str
    models: Mapping[str, Model]
    providers: Mapping[str, Provider]
    table: Table
    bundle: Bundle
    routes: Mapping[str, Route]
    # A published policy that this process cannot read: nothing may pass as if it did not exist.
    unreadable_policy: bool = False
    # Providers by name, ready to be called at any of their paths.
    passing: Mapping[str, tuple[Provider, Route]] = field(default_factory=dict)
    # What of a key, besides its team, some policy's scope asks about.
    scoped: frozenset[str] = frozenset()
    # What clients may ask for besides the models' own names.
    names: Names = field(default_factory=dict)

    def allowed(self, patterns: Iterable[str]) -> list[Model]:
        """The enabled models that a key's patterns admit, the default one first, then those for chat, by name."""
        admitted = list(patterns)
        found = [m for m in self.models.values() if m.enabled and admits(admitted, m.name)]
        return sorted(found, key=lambda model: (not model.default, model.kind != CHAT, model.name))


class Snapshot:
    """Follows what control publishes: messages at once, a slow poll as safety net, the last view when Redis is gone."""

    def __init__(
        self,
        redis: Redis,
        ring: KeyRing,
        *,
        on_key: Callable[[str], None],
        on_keys: Callable[[str], None],
        on_epoch: Callable[[str], Awaitable[None]],
    ) -> None:
        self._redis, self._ring = redis, ring
        self._on_key, self._on_keys, self._on_epoch = on_key, on_keys, on_epoch
        self._rooms: dict[str, dict[str, dict[str, Value | None]]] = {}
        self._versions: dict[str, dict[bytes, bytes]] = {}
        self._views: dict[str, View] = {}
        self._fresh_at = 0.0
        self._wake = asyncio.Event()
        self._edits: list[Edit] = []
        self.epoch = ""
        # Whether counters of every organisation were seen complete once since this process began.
        self.counted = False

    def view(self, organisation_id: str) -> View | None:
        """The view of an organisation, None where nothing of it was published."""
        return self._views.get(organisation_id)

    @property
    def age(self) -> float:
        """Seconds since the configuration was last known to be current; endless before the first load."""
        return monotonic() - self._fresh_at if self._fresh_at else float("inf")

    def on_message(self, payload: bytes) -> None:
        """A published edit; keys are marked here and now, rooms are read by the follower."""
        try:
            edit = _edit(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.look_again()
            return
        if edit.room == KEYS_ROOM:
            self._on_key(edit.id)
        self._edits.append(edit)
        self._wake.set()

    def look_again(self) -> None:
        """Messages may have been missed: compare all versions now."""
        self._edits.append(Edit(room="*"))
        self._wake.set()

    async def follow(self) -> None:
        """Keep the views current until cancelled."""
        while True:
            with contextlib.suppress(RedisDown, hiredis.ReplyError):
                edits, self._edits = self._edits, []
                self._wake.clear()
                if edits and all(edit.room in ROOMS for edit in edits):
                    for edit in edits:
                        await self._apply(edit)
                else:
                    await self.poll()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def poll(self) -> None:
        """Compare epoch and versions with what is loaded and read what differs."""
        epoch, organisations = await asyncio.gather(
            self._redis.command("GET", redis_names.EPOCH),
            self._redis.command("SMEMBERS", redis_names.ORGANISATIONS),
        )
        if epoch is None:
            # Redis lost everything and nobody has published again: what we have is the best there is.
            return
        fresh = epoch.decode() != self.epoch
        ids = [raw.decode() for raw in organisations]
        found = await asyncio.gather(
            *(self._redis.command("HGETALL", redis_names.versions(org)) for org in ids)
        )
        for org, pairs in zip(ids, found, strict=True):
            published = dict(zip(pairs[::2], pairs[1::2], strict=True))
            known = self._versions.get(org, {}) if not fresh else {}
            for room in ROOMS:
                if room not in self._rooms.get(org, {}) or known.get(room.encode()) != published.get(
                    room.encode()
                ):
                    await self._load(org, room)
            if known.get(KEYS_ROOM.encode()) != published.get(KEYS_ROOM.encode()):
                self._on_keys(org)
            self._versions[org] = published
        for org in set(self._views) - set(ids):
            self._views.pop(org)
            self._rooms.pop(org, None)
        if not self.counted:
            marks = await asyncio.gather(
                *(self._redis.command("GET", redis_names.counters(org)) for org in ids)
            )
            self.counted = all(mark == epoch for mark in marks)
        if fresh:
            self.epoch = epoch.decode()
            await self._on_epoch(self.epoch)
        self._fresh_at = monotonic()

    async def _apply(self, edit: Edit) -> None:
        """One small edit: read one value, swap one view."""
        org, room, subject = edit.organisation_id, edit.room, edit.id
        if room not in self._rooms.get(org, {}):
            self.look_again()
            return
        raw = await self._redis.command("HGET", redis_names.room(org, room), subject)
        held = dict(self._rooms[org][room])
        held.pop(subject, None)
        if raw is not None:
            held |= _read(room, {subject.encode(): raw})
        self._swap(org, room, held)
        # The version is left alone: the next poll compares it and would see an edit that overtook this one.

    async def _load(self, org: str, room: str) -> None:
        pairs = await self._redis.command("HGETALL", redis_names.room(org, room))
        self._swap(org, room, _read(room, dict(zip(pairs[::2], pairs[1::2], strict=True))))

    def _swap(self, org: str, room: str, held: dict[str, Value | None]) -> None:
        rooms = self._rooms.setdefault(org, {})
        rooms[room] = held
        if len(rooms) == len(ROOMS):
            self._views[org] = self._view(org, rooms, room)

    def _view(self, org: str, rooms: Mapping[str, Mapping[str, Any]], changed: str) -> View:
        before = self._views.get(org)
        if before is not None and changed == "policies":
            return replace(before, **self._policies(rooms["policies"]))
        providers = {p.id: p for p in rooms["providers"].values() if p.enabled and p.dialect in _KNOWN}
        kinds = {model.id: model.kind for model in rooms["models"].values()}
        dialects = {
            target.id: dialect
            for target in rooms["targets"].values()
            if (provider := providers.get(target.provider_id)) is not None
            and (dialect := _spoken(kinds.get(target.model_id, CHAT), provider)) is not None
        }
        targets = [target for target in rooms["targets"].values() if target.id in dialects]
        settings = rooms["organisations"].get(org)
        table = Table.of(targets)
        return View(
            organisation_id=org,
            bodies=settings.bodies if settings else "off",
            models={model.name: model for model in rooms["models"].values()},
            providers=providers,
            table=table,
            names=index(rooms["models"].values(), providers, table),
            **self._policies(rooms["policies"]),
            routes={
                target.id: self._route(target, providers[target.provider_id], dialects[target.id])
                for target in targets
            },
            passing={
                p.name: (p, self._route(_any_path(p), p, spoken(p.dialect, p.vendor)))
                for p in providers.values()
                if p.dialect in DIALECTS
            },
        )

    def _policies(self, held: Mapping[str, Any]) -> dict[str, Any]:
        readable = [policy for policy in held.values() if policy is not None]
        return {
            "bundle": Bundle.of(readable),
            "unreadable_policy": len(readable) < len(held),
            "scoped": frozenset(
                name
                for policy in readable
                for name in ("key_ids", "departments", "groups")
                if getattr(policy.scope, name)
            ),
        }

    def _route(self, target: Target, provider: Provider, dialect: Dialect) -> Route:
        credential = ""
        if provider.credential:
            with contextlib.suppress(KeyRingError, ValueError):
                sealed = base64.b64decode(provider.credential)
                credential = self._ring.open(Purpose.FIELD, sealed, provider.id).decode()
        return Route(
            target_id=target.id,
            target=target.name,
            provider=provider.name,
            upstream_model=target.upstream_model,
            base_url=provider.base_url.rstrip("/"),
            dialect=dialect,
            quirks=quirks_of(provider.dialect, provider.vendor) if dialect.name in DIALECTS else None,
            credential=credential,
            connect=provider.connect_seconds,
            silence=provider.silence_seconds,
            total=provider.answer_seconds,
            verify_tls=provider.verify_tls,
            private_allowed=provider.private_allowed,
            rates=target.rates,
            later=target.later,
        )


def _any_path(provider: Provider) -> Target:
    """What stands for a target where a provider is called at a path of the client's choice."""
    return Target(
        id="",
        organisation_id=provider.organisation_id,
        name=provider.name,
        model_id="",
        provider_id=provider.id,
        upstream_model="",
    )


def _spoken(kind: str, provider: Provider) -> Dialect | None:
    """How a provider is asked by models of a kind; None where it cannot be."""
    chat = spoken(provider.dialect, provider.vendor) if provider.dialect in DIALECTS else None
    return embeddings.beside(provider.dialect, chat) if kind == EMBEDDING else chat


def _read(room: str, pairs: Mapping[bytes, bytes]) -> dict[str, Value | None]:
    """Published values by id; one that cannot be read is left out, but None among policies."""
    found: dict[str, Value | None] = {}
    for identifier, raw in pairs.items():
        try:
            found[identifier.decode()] = values.decode(ROOMS[room], raw)
        except values.ShapeError:
            if room == "policies":
                found[identifier.decode()] = None
    return found

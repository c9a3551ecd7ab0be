# SPDX-License-Identifier: Apache-2.0
"""A small published world: one organisation with keys, a provider, models, targets and policies, straight in Redis."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import redis

from apps.core import ids, redis_names, values
from apps.core.keyring import KeyRing
from apps.identity.domain import Bodies, OrganisationSettings
from apps.keys.domain import Budget, Key
from apps.policies.domain import Action, Detector, Phase, Policy
from apps.providers.domain import Model, Provider, Rates
from apps.routing.domain import Target

SECRET = "sk-sf-" + "ab" * 24
RATES = Rates(version="1", input=Decimal("1"), output=Decimal("2"))


@dataclass
class World:
    """Publishes values the way control does; `edit` tells gateways."""

    client: Any
    ring: KeyRing
    org: str = field(default_factory=lambda: ids.new("org"))
    epoch: str = "e1"
    secret: str = SECRET
    _versions: int = 0

    def begin(self, upstream_url: str, *, bodies: Bodies = Bodies.OFF) -> "World":
        """Everything a first chat needs."""
        self.put("organisations", OrganisationSettings(id=self.org, name="Alder Bank", bodies=bodies))
        self.provider = self.add_provider("upstream", upstream_url)
        self.model = self.add_model("plain")
        self.add_target(self.model, self.provider, "plain")
        self.put_rooms()
        self.key = self.add_key(self.secret)
        self.client.set(redis_names.counters(self.org), self.epoch)
        self.client.set(redis_names.EPOCH, self.epoch)
        return self

    def put_rooms(self) -> None:
        """Rooms without a row still exist."""
        self.client.sadd(redis_names.ORGANISATIONS, self.org)
        for room in ("organisations", "providers", "models", "targets", "policies"):
            self.client.hincrby(redis_names.versions(self.org), room, 1)

    def put(self, room: str, value: Any) -> None:
        """Publish one value of a small room."""
        self.client.hset(redis_names.room(self.org, room), value.id, values.encode(value))
        self.client.hincrby(redis_names.versions(self.org), room, 1)
        self.edit(room, value.id)

    def drop(self, room: str, identifier: str) -> None:
        """Unpublish one value."""
        self.client.hdel(redis_names.room(self.org, room), identifier)
        self.client.hincrby(redis_names.versions(self.org), room, 1)
        self.edit(room, identifier)

    def edit(self, room: str, identifier: str) -> None:
        """Tell gateways."""
        self._versions += 1
        message = {"room": room, "organisation_id": self.org, "id": identifier, "version": self._versions}
        self.client.publish(redis_names.EDITS, json.dumps(message))

    def add_provider(self, name: str, url: str, **more: Any) -> Provider:
        """A provider that may be on this machine."""
        fixed = {"id": ids.new("prv"), "organisation_id": self.org, "private_allowed": True}
        provider = Provider(**(fixed | {"name": name, "base_url": url} | more))
        self.put("providers", provider)
        return provider

    def add_model(self, name: str, **more: Any) -> Model:
        """A model with a price."""
        fixed = {"id": ids.new("mdl"), "organisation_id": self.org, "output_cap": 100, "rates": RATES}
        model = Model(**(fixed | {"name": name} | more))
        self.put("models", model)
        return model

    def add_target(self, model: Model, provider: Provider, upstream_model: str, **more: Any) -> Target:
        """A way to reach a model."""
        fixed = {
            "id": ids.new("tgt"),
            "organisation_id": self.org,
            "name": f"{provider.name}/{upstream_model}"[:60],
        }
        links = {"model_id": model.id, "provider_id": provider.id, "upstream_model": upstream_model}
        target = Target(**(fixed | links | more))
        self.put("targets", target)
        return target

    def scripted(self, script: str, *, fallback: str = "", name: str = "") -> str:
        """A model whose upstream behaves by a script, with a second target where one is given; its name."""
        model = self.add_model(name or f"m{ids.new('mdl')[-8:]}")
        self.add_target(model, self.provider, script)
        if fallback:
            self.add_target(model, self.provider, fallback, rank=1)
        return model.name

    def add_key(self, secret: str, **more: Any) -> Key:
        """A key of Dana Whitfield in the Claims team, unless told otherwise."""
        fixed: dict[str, Any] = {
            "id": ids.new("key"),
            "organisation_id": self.org,
            "organisation_name": "Alder Bank",
            "digest": self.ring.digest(secret),
            "name": "Claims laptop",
            "hint": f"{secret[:10]}…{secret[-4:]}",
            "person_id": ids.new("per"),
            "person_name": "Dana Whitfield",
            "email": "dana@alder.example",
            "department": "Claims",
            "team_id": ids.new("team"),
            "team_name": "Claims",
        }
        key = Key(**(fixed | more))
        self.put_key(key)
        return key

    def put_key(self, key: Key) -> None:
        """Publish a key."""
        self.client.set(redis_names.key(key.digest), values.encode(key))
        self.client.hincrby(redis_names.versions(self.org), "keys", 1)
        self.edit("keys", key.digest)

    def add_policy(self, name: str, kind: str, params: dict[str, Any], action: Action, **more: Any) -> Policy:
        """An enforced policy."""
        fixed = {
            "id": ids.new("pol"),
            "organisation_id": self.org,
            "version": 1,
            "phases": (Phase.INPUT, Phase.OUTPUT),
        }
        policy = Policy(
            **(
                fixed
                | {"name": name, "detectors": (Detector(kind=kind, params=params),), "action": action}
                | more
            )
        )
        self.put("policies", policy)
        return policy

    def spend(self, budget: Budget) -> dict[str, int]:
        """The counters of a budget."""
        found = self.client.hgetall(redis_names.spend(self.org, budget.id))
        return {name.decode().partition(":")[2]: int(value) for name, value in found.items()}


def connect(url: str) -> Any:
    """A client for the test itself."""
    return redis.Redis.from_url(url)

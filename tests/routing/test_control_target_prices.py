# SPDX-License-Identifier: Apache-2.0
"""A target whose provider has prices of its own publishes them, and again whenever they change."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis

from apps.changes.domain import Role, system
from apps.core import clock, redis_names
from apps.core.values import decode
from apps.providers import selectors as providers
from apps.providers import services as catalogue
from apps.providers import services_prices, tasks
from apps.routing import domain, publish, services
from tests.control import House, house

D = Decimal


@pytest.fixture
def acme(db: None) -> House:
    """An organisation with an engineer."""
    return house("Acme", Role.ENGINEER)


@pytest.fixture
def store(redis_url: str) -> Iterator[Any]:
    """What gateways read."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


class Parts:
    """A model behind OpenAI itself and behind a server that nobody knows prices of."""

    def __init__(self, acme: House, capture: Any, **model: Any) -> None:
        self.acme, self.actor, self.capture = acme, system(acme.id), capture
        with capture(execute=True):
            self.model = catalogue.create_model(actor=self.actor, name="gpt-4o", **model)
            self.known = self.provider("known", "https://api.openai.com/v1")
            self.unknown = self.provider("unknown", "https://models.example.com/v1")
            self.first, self.second = self.target(self.known), self.target(self.unknown)

    def provider(self, name: str, url: str) -> Any:
        return catalogue.create_provider(actor=self.actor, name=name, base_url=url)

    def target(self, provider: Any) -> Any:
        return services.create_target(
            actor=self.actor,
            name=provider.name,
            model_id=self.model.id,
            provider_id=provider.id,
            upstream_model="gpt-4o",
        )

    def published(self, store: Any, target: Any) -> domain.Target:
        return decode(domain.Target, store.hget(redis_names.room(self.acme.id, "targets"), target.id))


def test_a_target_publishes_what_differs_from_its_model(
    acme: House, store: Any, django_capture_on_commit_callbacks: Any
) -> None:
    parts = Parts(acme, django_capture_on_commit_callbacks)

    first = parts.published(store, parts.first).rates
    assert first is not None
    assert first.version.startswith("openai/gpt-4o@")
    assert first.output > first.input > 0
    assert parts.published(store, parts.second).rates is None


def test_where_the_operator_says_the_price_it_is_the_price_of_all_targets(
    acme: House, store: Any, django_capture_on_commit_callbacks: Any
) -> None:
    parts = Parts(acme, django_capture_on_commit_callbacks, input_rate=D(1), output_rate=D(2))
    assert parts.published(store, parts.first).rates is None

    with django_capture_on_commit_callbacks(execute=True):
        catalogue.change_model(actor=parts.actor, model_id=parts.model.id, input_rate=None, output_rate=None)
    assert parts.published(store, parts.first).rates is not None


def test_edits_of_prices_and_providers_reach_the_target(
    acme: House, store: Any, django_capture_on_commit_callbacks: Any
) -> None:
    parts = Parts(acme, django_capture_on_commit_callbacks)

    with django_capture_on_commit_callbacks(execute=True):
        services_prices.create_price(actor=parts.actor, starts_at=clock.from_ms(1), prices=None, margin=D(10))
    found = parts.published(store, parts.first).rates
    assert found is not None
    assert found.margin == 10

    with django_capture_on_commit_callbacks(execute=True):
        catalogue.change_provider(
            actor=parts.actor, provider_id=parts.known.id, base_url="https://other.example.com/v1"
        )
    assert parts.published(store, parts.first).rates is None


def test_a_new_catalogue_publishes_targets_again(
    acme: House, store: Any, django_capture_on_commit_callbacks: Any
) -> None:
    parts = Parts(acme, django_capture_on_commit_callbacks)
    store.hdel(redis_names.room(acme.id, "targets"), parts.first.id)
    providers.models(acme.id).filter(id=parts.model.id).update(catalogue_digest="older")

    with django_capture_on_commit_callbacks(execute=True):
        tasks.publish_catalogue()

    assert parts.published(store, parts.first).rates is not None


def test_all_of_them_are_published_with_the_same_prices(
    acme: House, store: Any, django_capture_on_commit_callbacks: Any
) -> None:
    parts = Parts(acme, django_capture_on_commit_callbacks)

    values = {one.id: one.value for one in publish.load_targets() if one.organisation_id == acme.id}

    for target in (parts.first, parts.second):
        raw = values[target.id]
        assert raw is not None
        assert decode(domain.Target, raw).rates == parts.published(store, target).rates

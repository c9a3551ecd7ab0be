# SPDX-License-Identifier: Apache-2.0
"""What a key may pass through and what that costs: set by services, checked, noted, and published."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.core.exceptions import ValidationError

from apps.changes.domain import Forbidden, Role
from apps.changes.selectors import history
from apps.core import values
from apps.keys import domain, services
from apps.keys.publish import load_key
from apps.providers import services as providers
from apps.providers.domain import Provider
from apps.providers.publish import load_provider
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer and a compliance officer."""
    return house("Acme", Role.ENGINEER, Role.COMPLIANCE)


def issue(of: House, **fields: Any) -> str:
    key, _ = services.issue_key(
        actor=of.actor(Role.ENGINEER), **{"name": "Claims bot", "team_id": of.team_id, **fields}
    )
    found: str = key.id
    return found


def key_value(key_id: str) -> domain.Key:
    published = load_key(key_id)
    assert published is not None
    assert published.value is not None
    return values.decode(domain.Key, published.value)


def provider_value(provider_id: str) -> Provider:
    published = load_provider(provider_id)
    assert published is not None
    assert published.value is not None
    return values.decode(Provider, published.value)


def test_a_new_key_passes_nothing_through_and_a_change_is_noted(acme: House) -> None:
    key_id = issue(acme)
    assert key_value(key_id).passthrough == ()
    services.change_key(
        actor=acme.actor(Role.ENGINEER),
        key_id=key_id,
        passthrough=[" openai/responses ", "openai/responses", "acme"],
    )
    assert key_value(key_id).passthrough == ("openai/responses", "acme")
    assert history(acme.id, key_id)[0].after["passthrough"] == ["openai/responses", "acme"]


@pytest.mark.parametrize("pattern", ["", "/openai", "https://evil.example/x", "a" * 301, "a\x00b"])
def test_a_pattern_that_is_none(acme: House, pattern: str) -> None:
    with pytest.raises(ValidationError) as fault:
        issue(acme, passthrough=[pattern])
    assert set(fault.value.message_dict) == {"passthrough"}


def test_only_those_who_write_keys_allow_it(acme: House) -> None:
    key_id = issue(acme)
    with pytest.raises(Forbidden):
        services.change_key(actor=acme.actor(Role.COMPLIANCE), key_id=key_id, passthrough=["*"])


def test_a_key_published_before_this_field_passes_nothing_through() -> None:
    old = msgspec.json.encode(
        {"v": 1, "type": "key", "id": "key_1", "organisation_id": "org_1", "organisation_name": "A"}
        | {"digest": "d", "name": "n", "hint": "h"}
    )
    assert values.decode(domain.Key, old).passthrough == ()


def test_the_price_has_a_version_that_grows_with_each_change(acme: House) -> None:
    actor = acme.actor(Role.ENGINEER)
    row = providers.create_provider(actor=actor, name="openai", base_url="https://api.openai.com/v1")
    assert (provider_value(row.id).pass_price, provider_value(row.id).pass_price_version) == (None, 0)
    for price, version in ((Decimal("0.0025"), 1), (Decimal("0.00250"), 1), (Decimal("0.003"), 2), (None, 3)):
        providers.change_provider(actor=actor, provider_id=row.id, pass_price=price)
        found = provider_value(row.id)
        assert (found.pass_price, found.pass_price_version) == (price, version)
    noted = [entry.after.get("pass_price") for entry in history(acme.id, row.id)]
    assert noted == [None, "0.003", "0.0025", None]
    with pytest.raises(ValidationError) as fault:
        providers.change_provider(actor=actor, provider_id=row.id, pass_price=Decimal("-1"))
    assert set(fault.value.message_dict) == {"pass_price"}

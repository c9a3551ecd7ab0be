# SPDX-License-Identifier: Apache-2.0
"""Providers and models: services, API, publication; the credential comes out nowhere."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from apps.changes.domain import Forbidden, Role, system
from apps.changes.selectors import history
from apps.core import redis_names
from apps.core.django_ring import ring
from apps.core.keyring import Purpose
from apps.core.values import decode
from apps.providers import domain, selectors, services
from apps.providers.publish import model_value
from tests.control import House, house

SECRET = "upstream-credential-0123456789"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer, a compliance officer and an employee."""
    return house("Acme", Role.ENGINEER, Role.COMPLIANCE)


@pytest.fixture
def other() -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


def provider(acme: House, **fields: Any) -> Any:
    values = {"name": "Cloud", "base_url": "https://api.example.com/v1", "credential": SECRET} | fields
    return services.create_provider(actor=acme.actor(Role.ENGINEER), **values)


class TestServices:
    def test_credential_is_sealed_under_the_id(self, acme: House) -> None:
        row = provider(acme)
        assert SECRET.encode() not in bytes(row.credential)
        assert ring().open(Purpose.FIELD, bytes(row.credential), row.id) == SECRET.encode()

    def test_change_log_says_set_and_changed_only(self, acme: House) -> None:
        row = provider(acme)
        services.change_provider(
            actor=acme.actor(Role.ENGINEER), provider_id=row.id, credential="another-one"
        )
        services.change_provider(actor=acme.actor(Role.ENGINEER), provider_id=row.id, credential="")
        entries = list(history(acme.id, row.id))
        assert [entry.verb for entry in entries] == [
            "provider.changed",
            "provider.changed",
            "provider.created",
        ]
        assert [entry.after["credential"] for entry in entries] == ["", "changed", "set"]
        said = json.dumps([[entry.before, entry.after] for entry in entries]) + repr(row) + str(row)
        assert SECRET not in said
        assert "another-one" not in said
        assert base64.b64encode(bytes(row.credential)).decode() not in said

    def test_what_changes_nothing_is_not_in_the_log(self, acme: House) -> None:
        row = provider(acme)
        services.change_provider(actor=acme.actor(Role.ENGINEER), provider_id=row.id, name="Cloud")
        assert len(history(acme.id, row.id)) == 1

    @pytest.mark.parametrize(
        "address",
        [
            "api.example.com/v1",
            "ftp://api.example.com",
            "https://",
            "https://user:word@api.example.com",
            "https://@api.example.com",
            "https://api.example.com/v1#part",
            "https://api.example.com/v1?key=1",
            "https://api.example.com:99999",
            "https://api.example.com:0",
            "https://api.exam ple.com",
            "http://127.0.0.1:9000",
            "http://localhost:9000",
            "http://10.1.2.3",
            "http://169.254.169.254/latest",
            "http://[::1]:9000",
            "http://[::ffff:10.0.0.1]",
            "http://2130706433",
        ],
    )
    def test_addresses_that_are_refused(self, acme: House, address: str) -> None:
        with pytest.raises(ValidationError) as fault:
            provider(acme, base_url=address)
        assert set(fault.value.message_dict) == {"base_url"}

    def test_an_operator_allows_a_network(self, acme: House, settings: Any) -> None:
        settings.OUTBOUND_ALLOW = ("10.0.0.0/8",)
        assert provider(acme, base_url="http://10.1.2.3/v1/").base_url == "http://10.1.2.3/v1"

    def test_a_private_address_stays_with_the_operator(self, acme: House) -> None:
        local = services.create_provider(
            actor=system(acme.id), name="local", base_url="http://127.0.0.1:9000/v1", private_allowed=True
        )
        engineer = acme.actor(Role.ENGINEER)
        with pytest.raises(ValidationError):
            services.change_provider(actor=engineer, provider_id=local.id, base_url="http://169.254.169.254")
        kept = services.change_provider(actor=engineer, provider_id=local.id, name="mine")
        assert kept.private_allowed
        moved = services.change_provider(
            actor=engineer, provider_id=local.id, base_url="https://api.example.com"
        )
        assert not moved.private_allowed
        with pytest.raises(ValidationError) as fault:
            services.change_provider(actor=engineer, provider_id=local.id, private_allowed=True)
        assert set(fault.value.message_dict) == {"private_allowed"}

    def test_a_credential_does_not_follow_to_another_server(self, acme: House) -> None:
        row = provider(acme)
        engineer = acme.actor(Role.ENGINEER)
        same = services.change_provider(
            actor=engineer, provider_id=row.id, base_url="https://api.example.com:443/v2"
        )
        assert same.credential
        for address in ("https://evil.example.net/v1", "http://api.example.com/v1"):
            with pytest.raises(ValidationError) as fault:
                services.change_provider(actor=engineer, provider_id=row.id, base_url=address)
            assert set(fault.value.message_dict) == {"credential"}
        moved = services.change_provider(
            actor=engineer, provider_id=row.id, base_url="https://eu.example.com", credential="new-credential"
        )
        assert ring().open(Purpose.FIELD, bytes(moved.credential), row.id) == b"new-credential"

    @pytest.mark.parametrize("credential", ["two\nlines", "naïve", "nul\x00", "x" * 4097])
    def test_credentials_that_fit_no_header(self, acme: House, credential: str) -> None:
        with pytest.raises(ValidationError) as fault:
            provider(acme, credential=credential)
        assert credential not in str(fault.value)

    def test_names_are_unique_within_an_organisation(self, acme: House, other: House) -> None:
        provider(acme)
        provider(other)
        with pytest.raises(ValidationError):
            provider(acme)

    @pytest.mark.parametrize("role", [Role.COMPLIANCE, None])
    def test_only_engineers_and_administrators_write(self, acme: House, role: Role | None) -> None:
        row = provider(acme)
        actor = acme.actor(role)
        with pytest.raises(Forbidden):
            services.create_provider(actor=actor, name="Mine", base_url="https://api.example.com")
        with pytest.raises(Forbidden):
            services.change_provider(actor=actor, provider_id=row.id, enabled=False)
        with pytest.raises(Forbidden):
            services.delete_provider(actor=actor, provider_id=row.id)
        with pytest.raises(Forbidden):
            services.create_model(actor=actor, name="m")

    def test_another_organisation_does_not_see_it(self, acme: House, other: House) -> None:
        row = provider(acme)
        stranger = other.actor(Role.ENGINEER)
        with pytest.raises(ObjectDoesNotExist):
            services.change_provider(actor=stranger, provider_id=row.id, enabled=False)
        with pytest.raises(ObjectDoesNotExist):
            services.delete_provider(actor=stranger, provider_id=row.id)
        assert not selectors.providers(other.id).exists()


class TestModels:
    def test_price_version_counts_changes_of_rates_only(self, acme: House) -> None:
        engineer = acme.actor(Role.ENGINEER)
        row = services.create_model(actor=engineer, name="m")
        assert (row.price_version, model_value(row).rates) == (0, None)
        rates = {"input_rate": Decimal("0.150000000"), "output_rate": Decimal("0.6")}
        priced = services.change_model(actor=engineer, model_id=row.id, **rates)
        again = services.change_model(
            actor=engineer, model_id=row.id, input_rate=Decimal("0.15"), enabled=False
        )
        assert priced.price_version == again.price_version == 1
        changed = services.change_model(actor=engineer, model_id=row.id, request_rate=Decimal("0.01"))
        assert changed.price_version == 2
        value = model_value(selectors.models(acme.id).get(id=row.id))
        assert value.rates == domain.Rates(
            version="2", input=Decimal("0.15"), output=Decimal("0.6"), request=Decimal("0.01")
        )

    @pytest.mark.parametrize(
        "rates",
        [
            {"input_rate": Decimal(1)},
            {"cached_rate": Decimal(1)},
            {"input_rate": Decimal(-1), "output_rate": Decimal(1)},
            {"input_rate": Decimal("NaN"), "output_rate": Decimal(1)},
            {"input_rate": Decimal("1e-10"), "output_rate": Decimal(1)},
        ],
    )
    def test_rates_that_make_no_price(self, acme: House, rates: dict[str, Decimal]) -> None:
        with pytest.raises(ValidationError):
            services.create_model(actor=acme.actor(Role.ENGINEER), name="m", **rates)

    def test_one_default(self, acme: House, other: House) -> None:
        engineer = acme.actor(Role.ENGINEER)
        elsewhere = services.create_model(actor=other.actor(Role.ENGINEER), name="m", default=True)
        first = services.create_model(actor=engineer, name="first", default=True)
        second = services.create_model(actor=engineer, name="second", default=True)
        assert list(selectors.models(acme.id).filter(default=True)) == [second]
        services.change_model(actor=engineer, model_id=first.id, default=True)
        assert list(selectors.models(acme.id).filter(default=True)) == [first]
        assert list(selectors.models(other.id).filter(default=True)) == [elsewhere]

    def test_output_cap_fits_the_context(self, acme: House) -> None:
        with pytest.raises(ValidationError):
            services.create_model(actor=acme.actor(Role.ENGINEER), name="m", output_cap=10, context=5)


class TestPublication:
    def test_read_back_from_redis(
        self, acme: House, redis_url: str, django_capture_on_commit_callbacks: Any
    ) -> None:
        store = redis.Redis.from_url(redis_url)
        engineer = acme.actor(Role.ENGINEER)
        with django_capture_on_commit_callbacks(execute=True):
            row = provider(acme)
            model = services.create_model(actor=engineer, name="m", default=True, output_cap=5)
        found = decode(domain.Provider, store.hget(redis_names.room(acme.id, "providers"), row.id))
        assert (found.name, found.base_url) == ("Cloud", "https://api.example.com/v1")
        sealed = base64.b64decode(found.credential)
        assert ring().open(Purpose.FIELD, sealed, row.id) == SECRET.encode()
        assert decode(domain.Model, store.hget(redis_names.room(acme.id, "models"), model.id)).output_cap == 5
        with django_capture_on_commit_callbacks(execute=True):
            services.create_model(actor=engineer, name="n", default=True)
            services.delete_provider(actor=engineer, provider_id=row.id)
        assert store.hget(redis_names.room(acme.id, "providers"), row.id) is None
        before = decode(domain.Model, store.hget(redis_names.room(acme.id, "models"), model.id))
        assert not before.default
        store.close()


def test_what_is_local_has_no_address(acme: House) -> None:
    engineer = acme.actor(Role.ENGINEER)
    row = services.create_provider(actor=engineer, name="Inside", dialect="local")
    assert (row.base_url, row.dialect) == ("local:", "local")
    assert services.change_provider(actor=engineer, provider_id=row.id, base_url="").base_url == "local:"
    with pytest.raises(ValidationError) as fault:
        services.change_provider(actor=engineer, provider_id=row.id, base_url="https://api.example.com")
    assert set(fault.value.message_dict) == {"base_url"}
    with pytest.raises(ValidationError) as fault:
        services.change_provider(actor=engineer, provider_id=row.id, dialect="openai")
    assert set(fault.value.message_dict) == {"base_url"}

# SPDX-License-Identifier: Apache-2.0
"""Choosing a vendor, aliases, and what the API lists of both."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from apps.changes.domain import Forbidden, Role
from apps.changes.selectors import history
from apps.core.django_rows import InUseError
from apps.core.values import decode
from apps.providers import domain, selectors, services, services_aliases
from apps.providers.publish import load_model, load_models, load_provider
from apps.providers.vendors import VENDORS
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer, a compliance officer and an employee."""
    return house("Acme", Role.ENGINEER, Role.COMPLIANCE)


@pytest.fixture
def other() -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


def model(where: House, name: str = "gpt-4.1") -> Any:
    return services.create_model(actor=where.actor(Role.ENGINEER), name=name)


def alias(where: House, name: str, model_id: str) -> Any:
    return services_aliases.create_alias(actor=where.actor(Role.ENGINEER), name=name, model_id=model_id)


class TestVendors:
    def test_the_api_fills_in_dialect_and_address_and_publishes_the_vendor(self, acme: House) -> None:
        made = acme.client(Role.ENGINEER).post("/api/providers", {"name": "A", "vendor": "anthropic"})
        assert made.status_code == 201, made.content
        row = made.json()
        assert (row["dialect"], row["base_url"]) == ("anthropic", "https://api.anthropic.com/v1")
        published = load_provider(row["id"])
        assert published is not None
        assert published.value is not None
        assert decode(domain.Provider, published.value).vendor == "anthropic"

    def test_an_address_of_one_s_own_stays(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        body = {"name": "G", "vendor": "groq", "base_url": "https://groq.proxy.example/v1"}
        row = client.post("/api/providers", body).json()
        assert row["base_url"] == "https://groq.proxy.example/v1"
        moved = client.patch(f"/api/providers/{row['id']}", {"vendor": "mistral"}).json()
        assert moved["base_url"] == "https://api.mistral.ai/v1"
        kept = client.patch(f"/api/providers/{row['id']}", {"name": "M"}).json()
        assert kept == moved | {"name": "M"}
        entry = next(iter(history(acme.id, row["id"])))
        assert entry.before is not None
        assert entry.after is not None
        assert (entry.before["vendor"], entry.after["vendor"]) == ("mistral", "mistral")

    @pytest.mark.parametrize(
        ("body", "field", "words"),
        [
            ({"vendor": "nobody"}, "vendor", "nobody"),
            ({"vendor": "groq", "dialect": "gemini"}, "dialect", "openai"),
            ({"vendor": "azure"}, "base_url", "{resource}"),
            ({}, "base_url", "address"),
        ],
    )
    def test_what_does_not_fit_is_said_by_field(
        self, acme: House, body: dict[str, str], field: str, words: str
    ) -> None:
        answer = acme.client(Role.ENGINEER).post("/api/providers", {"name": "X", **body})
        assert answer.status_code == 400
        assert words in str(answer.json()["errors"][field])

    def test_a_change_of_vendor_asks_for_the_credential_of_the_new_server(self, acme: House) -> None:
        row = services.create_provider(
            actor=acme.actor(Role.ENGINEER), name="G", vendor="groq", credential="gsk-1"
        )
        with pytest.raises(ValidationError) as fault:
            services.change_provider(actor=acme.actor(Role.ENGINEER), provider_id=row.id, vendor="mistral")
        assert set(fault.value.message_dict) == {"credential"}

    def test_everybody_signed_in_reads_the_lists(self, acme: House) -> None:
        client = acme.client(None)
        listed = client.get("/api/providers/vendors").json()
        assert [row["id"] for row in listed] == list(VENDORS)
        mistral = next(row for row in listed if row["id"] == "mistral")
        assert mistral["renames"]["max_completion_tokens"] == "max_tokens"
        assert client.get("/api/providers/vendors/").json() == listed
        cells = client.get("/api/providers/capabilities").json()
        told = {"client": "openai", "provider": "anthropic", "feature": "seed", "streaming": True}
        found = next(cell for cell in cells if told.items() <= cell.items())
        assert (found["supported"], found["param"]) == (False, "seed")
        for address in ("vendors", "capabilities"):
            assert Client().get(f"/api/providers/{address}").status_code == 401

    def test_the_admin_form_fills_in_too(self, acme: House, client: Client) -> None:
        login(client, acme)
        body = {
            "name": "Groq", "vendor": "groq", "dialect": "", "base_url": "", "new_credential": "gsk-1",
            "connect_seconds": "5", "answer_seconds": "600", "silence_seconds": "120", "verify_tls": "on",
            "enabled": "on",
        }  # fmt: skip
        answer = client.post("/admin/providers/provider/add/", body)
        assert answer.status_code == 302, answer.content.decode()[:2000]
        row = selectors.providers(acme.id).get(name="Groq")
        assert (row.vendor, row.dialect, row.base_url) == (
            "groq",
            "openai",
            "https://api.groq.com/openai/v1",
        )


class TestAliases:
    def test_they_are_published_with_their_model(self, acme: House) -> None:
        one, two = model(acme), model(acme, "small")
        fast = alias(acme, "fast", one.id)
        alias(acme, "best", one.id)
        assert published(one.id).aliases == ("best", "fast")
        services_aliases.change_alias(actor=acme.actor(Role.ENGINEER), alias_id=fast.id, model_id=two.id)
        assert (published(one.id).aliases, published(two.id).aliases) == (("best",), ("fast",))
        every = {v.id: v for v in (decode(domain.Model, p.value) for p in load_models() if p.value)}
        assert every[two.id].aliases == ("fast",)
        services_aliases.delete_alias(actor=acme.actor(Role.ENGINEER), alias_id=fast.id)
        assert published(two.id).aliases == ()
        assert [entry.verb for entry in history(acme.id, fast.id)] == [
            "alias.deleted",
            "alias.changed",
            "alias.created",
        ]

    def test_a_name_stands_for_one_thing_in_an_organisation(self, acme: House, other: House) -> None:
        one = model(acme)
        alias(acme, "fast", one.id)
        alias(other, "fast", model(other).id)
        for taken in ("fast", "gpt-4.1"):
            with pytest.raises(ValidationError) as fault:
                alias(acme, taken, one.id)
            assert set(fault.value.message_dict) & {"name", "__all__"}
        with pytest.raises(ValidationError) as fault:
            model(acme, "fast")
        assert "alias" in str(fault.value.message_dict["name"])

    def test_a_model_with_an_alias_is_in_use(self, acme: House) -> None:
        one = model(acme)
        alias(acme, "fast", one.id)
        with pytest.raises(InUseError, match="fast"):
            services.delete_model(actor=acme.actor(Role.ENGINEER), model_id=one.id)

    def test_only_writers_write_and_only_in_their_organisation(self, acme: House, other: House) -> None:
        one = model(acme)
        with pytest.raises(Forbidden):
            services_aliases.create_alias(actor=acme.actor(Role.COMPLIANCE), name="x", model_id=one.id)
        with pytest.raises(ValidationError) as fault:
            alias(other, "x", one.id)
        assert set(fault.value.message_dict) == {"model_id"}

    def test_over_the_api(self, acme: House, other: House) -> None:
        one = model(acme)
        client = acme.client(Role.ENGINEER)
        made = client.post("/api/models/aliases", {"name": "fast", "model_id": one.id})
        assert made.status_code == 201, made.content
        address = f"/api/models/aliases/{made.json()['id']}"
        assert client.patch(address, {"name": "quick"}).json() == made.json() | {"name": "quick"}
        assert [row["name"] for row in client.get("/api/models/aliases").json()["results"]] == ["quick"]
        assert other.client(Role.ENGINEER).get(address).status_code == 404
        assert acme.client(None).get("/api/models/aliases").status_code == 403
        assert client.delete(address).status_code == 204

    def test_the_admin_page(self, acme: House, client: Client) -> None:
        one = model(acme)
        login(client, acme)
        answer = client.post("/admin/providers/modelalias/add/", {"name": "fast", "model": one.id})
        assert answer.status_code == 302, answer.content.decode()[:2000]
        assert published(one.id).aliases == ("fast",)


def login(client: Client, where: House) -> None:
    """An engineer who may use admin pages."""
    person = where.person(Role.ENGINEER)
    person.is_staff = True
    person.save()
    client.force_login(person)


def published(model_id: str) -> domain.Model:
    """The value of a model as gateways get it."""
    found = load_model(model_id)
    assert found is not None
    assert found.value is not None
    return decode(domain.Model, found.value)

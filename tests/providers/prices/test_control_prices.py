# SPDX-License-Identifier: Apache-2.0
"""What operators say about prices: services, change log, publication, API and admin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.test import Client

from apps.changes.domain import Forbidden, Role
from apps.changes.selectors import history
from apps.core import clock, redis_names
from apps.core.django_rows import InUseError
from apps.core.values import decode
from apps.providers import domain, selectors, selectors_prices, services, services_prices, tasks
from apps.providers.publish import load_models, model_value
from tests.control import House, house

pytestmark = pytest.mark.django_db
NOW = clock.now()
PAST, SOON = datetime(2026, 1, 1, tzinfo=UTC), NOW + timedelta(days=3)
PRICES = {"input": "2.00", "output": "8", "tiers": [{"above": 1000, "input": "4", "output": "12"}]}


@pytest.fixture
def acme() -> House:
    """An organisation with an engineer, a compliance officer and an employee."""
    return house("Acme", Role.ENGINEER, Role.COMPLIANCE)


@pytest.fixture
def other() -> House:
    """Another organisation."""
    return house("Other", Role.ENGINEER)


def model(acme: House, **fields: Any) -> Any:
    return services.create_model(actor=acme.actor(Role.ENGINEER), **{"name": "small", **fields})


def price(acme: House, **fields: Any) -> Any:
    values = {"starts_at": PAST, "prices": PRICES} | fields
    return services_prices.create_price(actor=acme.actor(Role.ENGINEER), **values)


def published(acme: House, row: Any) -> domain.Model:
    return model_value(selectors.models(acme.id).get(id=row.id))


class TestModels:
    def test_a_model_takes_its_prices_from_the_catalogue(self, acme: House) -> None:
        row = model(acme, catalogue_provider="OpenAI", catalogue_model="gpt-4o-mini")

        rates = published(acme, row).rates
        assert row.catalogue_provider == "openai"
        assert rates is not None
        assert (rates.input, rates.output) == (Decimal("0.15"), Decimal("0.6"))
        assert rates.version.startswith("openai/gpt-4o-mini@")

    def test_without_a_name_its_own_is_looked_up(self, acme: House) -> None:
        rates = published(acme, model(acme, name="gpt-4o", catalogue_provider="openai")).rates
        assert rates is not None
        assert rates.input == Decimal("2.5")

    def test_its_own_rates_come_first(self, acme: House) -> None:
        own = {"input_rate": Decimal(1), "output_rate": Decimal(2)}
        rates = published(acme, model(acme, name="gpt-4o", catalogue_provider="openai", **own)).rates
        assert rates is not None
        assert (rates.input, rates.version) == (Decimal(1), "1")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"catalogue_provider": "nobody"}, "catalogue_provider"),
            ({"catalogue_provider": "openai", "catalogue_model": "nothing"}, "catalogue_model"),
            ({"catalogue_provider": "openai"}, "catalogue_model"),
            ({"catalogue_model": "gpt-4o"}, "catalogue_provider"),
        ],
    )
    def test_a_link_leads_somewhere(self, acme: House, fields: dict[str, str], field: str) -> None:
        with pytest.raises(ValidationError) as fault:
            model(acme, **fields)
        assert set(fault.value.message_dict) == {field}

    def test_a_target_at_another_provider_has_that_ones_prices(self, acme: House) -> None:
        engineer = acme.actor(Role.ENGINEER)
        row = model(acme, catalogue_provider="openai", catalogue_model="gpt-4o")
        cloud = services.create_provider(actor=engineer, name="C", base_url="https://api.anthropic.com/v1")
        own = services.create_provider(actor=engineer, name="O", base_url="https://models.example.com/v1")

        elsewhere = selectors_prices.price_timeline(acme.id, row.id, cloud.id, "claude-opus-4-6")
        unknown = selectors_prices.price_timeline(acme.id, row.id, own.id, "anything")

        assert elsewhere[-1].input == Decimal(5)
        assert unknown[-1].input == Decimal("2.5")
        price(acme, model_id=row.id)
        assert selectors_prices.price_timeline(acme.id, row.id, cloud.id, "claude-opus-4-6")[-1].input == 2


class TestOverrides:
    def test_it_counts_from_its_moment_without_another_edit(self, acme: House) -> None:
        row = model(acme, input_rate=Decimal(1), output_rate=Decimal(2))
        made = price(
            acme, model_id=row.id, starts_at=SOON, ends_at=SOON + timedelta(days=1), margin=Decimal(5)
        )

        value = published(acme, row)

        assert value.rates is not None
        assert (value.rates.input, value.rates.version) == (1, "1")
        assert [(one.version, one.input, one.margin) for one in value.later] == [
            (f"{made.id}.1", 2, 5),
            ("1", 1, 0),
        ]
        at = int(SOON.timestamp() * 1000)
        before, after = value.rates_at(at - 1), value.rates_at(at + 1)
        assert before is not None
        assert after is not None
        assert (before.input, after.input) == (1, 2)

    def test_a_margin_on_all_models(self, acme: House, other: House) -> None:
        row = model(acme, name="gpt-4o", catalogue_provider="openai")
        theirs = services.create_model(
            actor=other.actor(Role.ENGINEER), name="gpt-4o", catalogue_provider="openai"
        )
        made = price(acme, prices=None, margin=Decimal("7.5"))

        values = {one.id: one for one in load_models()}
        mine = decode(domain.Model, values[row.id].value or b"").rates
        other_one = decode(domain.Model, values[theirs.id].value or b"").rates

        assert mine is not None
        assert other_one is not None
        assert (mine.margin, other_one.margin) == (Decimal("7.5"), 0)
        assert mine.version.endswith(f"+{made.id}.1")

    def test_prices_for_all_models_are_refused(self, acme: House) -> None:
        with pytest.raises(ValidationError, match="only a margin"):
            price(acme)

    @pytest.mark.parametrize(
        ("start", "end", "meets"),
        [
            (0, 1, False),
            (0, 2, True),
            (1, 3, True),
            (2, 3, True),
            (3, 4, False),
            (3, None, False),
            (0, None, True),
        ],
    )
    def test_two_prices_never_count_at_the_same_time(
        self, acme: House, start: int, end: int | None, meets: bool
    ) -> None:
        row = model(acme)
        price(acme, model_id=row.id, starts_at=PAST + timedelta(1), ends_at=PAST + timedelta(3))
        price(acme, prices=None, margin=Decimal(1))
        wanted = {
            "model_id": row.id,
            "starts_at": PAST + timedelta(start),
            "ends_at": None if end is None else PAST + timedelta(end),
        }
        if not meets:
            price(acme, **wanted)
            return
        with pytest.raises(ValidationError) as fault:
            price(acme, **wanted)
        assert set(fault.value.message_dict) == {"starts_at"}

    def test_an_end_comes_after_its_beginning(self, acme: House) -> None:
        with pytest.raises(ValidationError, match="ends after"):
            price(acme, model_id=model(acme).id, ends_at=PAST)

    def test_what_is_no_price_is_refused_by_field(self, acme: House) -> None:
        with pytest.raises(ValidationError) as fault:
            price(acme, model_id=model(acme).id, prices={"input": 0.1})
        assert set(fault.value.message_dict) == {"prices"}

    def test_changes_count_revisions_and_are_in_the_log(self, acme: House) -> None:
        row = model(acme)
        made = price(acme, model_id=row.id)
        engineer = acme.actor(Role.ENGINEER)
        services_prices.change_price(actor=engineer, price_id=made.id, prices=PRICES)
        again = services_prices.change_price(
            actor=engineer, price_id=made.id, margin=Decimal(3), reason="Contract"
        )

        assert again.revision == 2
        rates = published(acme, row).rates
        assert rates is not None
        assert rates.version == f"{made.id}.2"
        services_prices.delete_price(actor=engineer, price_id=made.id)
        entries = list(history(acme.id, made.id))
        assert [entry.verb for entry in entries] == ["price.deleted", "price.changed", "price.created"]
        assert entries[1].reason == "Contract"
        assert published(acme, row).rates is None

    def test_who_may(self, acme: House, other: House) -> None:
        row = model(acme)
        made = price(acme, model_id=row.id)
        with pytest.raises(Forbidden):
            services_prices.create_price(actor=acme.actor(Role.COMPLIANCE), starts_at=PAST, margin=Decimal(1))
        stranger = other.actor(Role.ENGINEER)
        with pytest.raises(ObjectDoesNotExist):
            services_prices.delete_price(actor=stranger, price_id=made.id)
        with pytest.raises(ValidationError) as fault:
            services_prices.create_price(actor=stranger, model_id=row.id, starts_at=PAST, prices=PRICES)
        assert set(fault.value.message_dict) == {"model_id"}
        assert not selectors_prices.overrides(other.id).exists()

    def test_a_model_with_prices_stays(self, acme: House) -> None:
        row = model(acme)
        price(acme, model_id=row.id)
        with pytest.raises(InUseError, match="small"):
            services.delete_model(actor=acme.actor(Role.ENGINEER), model_id=row.id)


class TestPublication:
    def test_gateways_get_it_at_once(
        self, acme: House, redis_url: str, django_capture_on_commit_callbacks: Any
    ) -> None:
        store = redis.Redis.from_url(redis_url)
        with django_capture_on_commit_callbacks(execute=True):
            row, second = (
                model(acme),
                model(acme, name="second", input_rate=Decimal(1), output_rate=Decimal(1)),
            )
        with django_capture_on_commit_callbacks(execute=True):
            price(acme, model_id=row.id)
            price(acme, prices=None, margin=Decimal(9))

        found = {
            one.id: decode(domain.Model, store.hget(redis_names.room(acme.id, "models"), one.id)).rates
            for one in (row, second)
        }
        store.close()
        assert found[row.id].tiers[0].input == 4
        assert found[second.id].margin == 9

    def test_after_an_update_models_are_published_once(self, acme: House) -> None:
        linked = model(acme, name="gpt-4o", catalogue_provider="openai")
        model(acme)
        assert services_prices.publish_catalogue() == 0
        selectors.models(acme.id).filter(id=linked.id).update(catalogue_digest="older")
        tasks.publish_catalogue()
        assert services_prices.publish_catalogue() == 0
        assert selectors.models(acme.id).get(id=linked.id).catalogue_digest not in ("", "older")


class TestApi:
    def test_create_read_change_delete(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        row = model(acme)
        body = {"model_id": row.id, "starts_at": "2026-01-01T00:00:00Z", "prices": PRICES, "margin": "2.5"}

        made = client.post("/api/prices/overrides", body, format="json")

        assert made.status_code == 201, made.content
        found = made.json()
        assert found["prices"] == {**PRICES, "input": "2.00"}
        assert (found["margin"], found["revision"], found["ends_at"]) == ("2.50", 1, None)
        one = f"/api/prices/overrides/{found['id']}"
        assert client.get(one).json() == found
        changed = client.patch(one, {"margin": "3"}, format="json").json()
        assert changed == found | {"margin": "3.00", "revision": 2}
        assert [item["id"] for item in client.get("/api/prices/overrides").json()["results"]] == [found["id"]]
        assert client.delete(one).status_code == 204
        assert client.get(one).status_code == 404

    def test_faults_name_their_field(self, acme: House) -> None:
        client = acme.client(Role.ENGINEER)
        row = model(acme)
        good = {"model_id": row.id, "starts_at": "2026-01-01T00:00:00Z", "prices": PRICES}
        for field, value in (
            ("prices", {"inputs": "1"}),
            ("starts_at", "soon"),
            ("margin", "-101"),
            ("extra", 1),
        ):
            answer = client.post("/api/prices/overrides", good | {field: value}, format="json")
            assert answer.status_code == 400, answer.content
            assert field in answer.content.decode()

    def test_search_of_the_catalogue(self, acme: House) -> None:
        client = acme.client(Role.COMPLIANCE)
        found = client.get("/api/prices", {"q": "gpt-4o-mini", "provider": "openai"}).json()
        assert found["source"] == "genai-prices"
        assert {one["provider"] for one in found["results"]} == {"openai"}
        prices = next(one for one in found["results"] if one["model"] == "gpt-4o-mini")["history"][0][
            "prices"
        ]
        assert (prices["input"], prices["cached_input"]) == ("0.15", "0.075")
        everything = client.get("/api/prices/").json()
        assert (len(everything["results"]), everything["more"]) == (100, True)

    def test_prices_of_a_model(self, acme: House, other: House) -> None:
        row = model(acme, input_rate=Decimal("1.50"), output_rate=Decimal(2))
        made = price(acme, model_id=row.id, starts_at=SOON, margin=Decimal(1))
        found = acme.client(Role.COMPLIANCE).get(f"/api/prices/models/{row.id}").json()
        assert [one["version"] for one in found] == ["1", f"{made.id}.1"]
        assert found[0] == {
            "since": None,
            "version": "1",
            "margin": "0.00",
            "prices": {"input": "1.5", "output": "2"},
        }
        assert found[1]["margin"] == "1.00"
        stranger = other.client(Role.ENGINEER)
        assert stranger.get(f"/api/prices/models/{row.id}").status_code == 404
        assert stranger.get("/api/prices/models/nonsense").status_code == 404

    def test_who_may_ask(self, acme: House) -> None:
        employee, officer = acme.client(None), acme.client(Role.COMPLIANCE)
        for address in ("/api/prices", "/api/prices/overrides", "/api/prices/corrections"):
            assert employee.get(address).status_code == 403
            assert officer.get(address).status_code == 200
            assert Client().get(address).status_code == 401
        assert officer.post("/api/prices/overrides", {}, format="json").status_code == 403
        assert officer.post("/api/prices/corrections", {}, format="json").status_code in {403, 405}


class TestAdmin:
    def test_the_pages(self, acme: House) -> None:
        row, client = model(acme), Client()
        person = acme.person(Role.ENGINEER)
        person.is_staff = True
        person.save()
        client.force_login(person)
        form = {
            "model": row.id,
            "starts_at_0": "2026-01-01",
            "starts_at_1": "00:00:00",
            "ends_at_0": "",
            "ends_at_1": "",
            "prices": '{"input": "2"}',
            "margin": "0",
        }
        done = client.post("/admin/providers/priceoverride/add/", form)
        assert done.status_code == 302, done.content
        made = selectors_prices.overrides(acme.id).get()
        assert made.prices == {"input": "2"}
        assert "small" in client.get("/admin/providers/priceoverride/").content.decode()
        wrong = client.post(
            f"/admin/providers/priceoverride/{made.id}/change/",
            form | {"prices": '{"inputs": "2"}'},
            follow=True,
        )
        assert "no field inputs" in wrong.content.decode()
        assert (
            client.post(f"/admin/providers/priceoverride/{made.id}/delete/", {"post": "yes"}).status_code
            == 302
        )
        assert client.get("/admin/providers/pricecorrection/").status_code == 200

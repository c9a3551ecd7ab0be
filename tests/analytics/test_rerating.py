# SPDX-License-Identifier: Apache-2.0
"""Records are priced again by corrected prices: the difference is an entry, the record stays, a second run adds nothing."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from apps.analytics import rerating
from apps.audit import journal
from apps.audit import selectors as audit
from apps.audit.domain import Record, State, UsageSource, encode_record
from apps.changes.domain import Forbidden, Role, system
from apps.changes.selectors import history
from apps.core import clock, ids
from apps.providers import selectors_prices, services, services_prices
from apps.providers.usage import Usage
from tests.analytics.conftest import World

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
D = Decimal
START, END = datetime(2026, 1, 1, tzinfo=UTC), clock.now() + timedelta(days=1)


class Desk:
    """A world with a model, and records of what was asked of it."""

    def __init__(self, world: World) -> None:
        self.world, self.org = world, world.organisation_id
        self.actor = system(self.org, "Anna Berg")
        self.model = services.create_model(
            actor=self.actor, name="small", input_rate=D(1), output_rate=D(2), cached_rate=D("0.5")
        )
        self.process = world.process()

    def record(self, cost: str, **fields: Any) -> Record:
        given = {
            "model": "small",
            "usage_source": UsageSource.PROVIDER,
            "price_version": "1",
            "status": 200,
        } | fields
        found = Record(
            id=ids.new("req"),
            organisation_id=self.org,
            state=State.DONE,
            cost=D(cost),
            lease=self.process.lease,
            **given,
        )
        self.process.book.write(journal.DONE, encode_record(found))
        return found

    def ship(self) -> None:
        self.world.ship()

    def rerate(self, **more: Any) -> rerating.Rerated:
        return rerating.rerate(
            actor=self.actor, organisation_id=self.org, start=START, end=END, reason="The contract", **more
        )

    def correct(self, **rates: Decimal) -> None:
        services.change_model(actor=self.actor, model_id=self.model.id, **rates)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_only_what_differs_is_written_and_only_once(desk: Desk) -> None:
    usage = Usage(input=1000, output=500, cache_read=400)
    right = desk.record("0.0018", usage=usage.to_record())
    wrong = desk.record("0.5", input_tokens=1000, output_tokens=500, cached_tokens=400)
    desk.ship()
    before = audit.get(desk.org, wrong.id)

    first, second = desk.rerate(), desk.rerate()

    assert (first.looked, first.corrected, second.looked, second.corrected) == (2, 1, 2, 0)
    [entry] = selectors_prices.corrections(desk.org)
    assert (entry.record_id, entry.cost_before, entry.cost_after) == (wrong.id, D("0.5"), D("0.0018"))
    assert (entry.version_before, entry.version_after, entry.reason) == ("1", "1", "The contract")
    assert entry.actor_name == "Anna Berg"
    assert selectors_prices.correction_of(desk.org, [right.id, wrong.id]) == {wrong.id: D("-0.4982")}
    assert audit.get(desk.org, wrong.id) == before
    [change] = history(desk.org, entry.id)
    assert (change.verb, change.reason, change.after["records"]) == ("prices.rerated", "The contract", 1)
    assert (change.before["cost"], change.after["cost"]) == ("0.50", "0.0018")


def test_prices_corrected_twice_add_up(desk: Desk) -> None:
    record = desk.record("0.003", usage=Usage(input=1000, output=1000).to_record())
    desk.ship()

    desk.correct(input_rate=D(5))
    desk.rerate()
    desk.correct(input_rate=D(3))
    found = desk.rerate()

    assert (found.before, found.after, found.models) == (D("0.007"), D("0.005"), {"small": 1})
    assert selectors_prices.correction_of(desk.org, [record.id]) == {record.id: D("0.002")}
    assert selectors_prices.correction_total(desk.org) == D("0.002")
    assert selectors_prices.correction_total(desk.org, model_name="other") == 0
    assert selectors_prices.correction_total(desk.org, end=START) == 0
    newest = selectors_prices.corrections(desk.org)[0]
    assert (newest.version_before, newest.version_after) == ("2", "3")
    desk.correct(input_rate=D(1))
    desk.rerate()
    assert selectors_prices.correction_total(desk.org) == 0


def test_each_record_by_the_prices_of_its_moment_and_its_service_tier(desk: Desk) -> None:
    usage = Usage(input=1_000_000).to_record()
    standard, batch = desk.record("1", usage=usage), desk.record("1", usage=usage, service_tier="batch")
    desk.ship()
    prices = {"input": "10", "services": {"batch": {"input": "4"}}}
    moment = ids.moment(standard.id)
    services_prices.create_price(
        actor=desk.actor, model_id=desk.model.id, starts_at=moment + timedelta(days=1), prices={"input": "99"}
    )
    assert desk.rerate().corrected == 0

    services_prices.create_price(
        actor=desk.actor,
        model_id=desk.model.id,
        starts_at=START,
        ends_at=moment + timedelta(hours=1),
        prices=prices,
    )
    desk.rerate()

    assert selectors_prices.correction_of(desk.org, [standard.id, batch.id]) == {standard.id: 9, batch.id: 3}


def test_amounts_of_any_size_stay_exact(desk: Desk) -> None:
    usage = Usage(input=10**18 + 1).to_record()
    right = desk.record("1000000000000.000001", usage=usage)
    wrong = desk.record("1000000000000.00000100000000000001", usage=usage)
    desk.ship()

    desk.rerate()

    assert selectors_prices.correction_of(desk.org, [right.id, wrong.id]) == {wrong.id: D("-1E-20")}


def test_what_was_not_used_or_cannot_be_priced_is_left_alone(desk: Desk) -> None:
    desk.record("5", usage_source=UsageSource.CACHE, cache_hit="exact", input_tokens=9)
    desk.record("5", usage_source=UsageSource.UNKNOWN, input_tokens=9)
    desk.record("5", usage_source=UsageSource.NONE)
    desk.record("5", model="gone", input_tokens=9)
    desk.ship()

    found = desk.rerate()

    assert (found.looked, found.unpriced, found.corrected) == (1, 1, 0)
    assert not selectors_prices.corrections(desk.org).exists()


def test_a_dry_run_writes_nothing_and_one_model_may_be_named(desk: Desk) -> None:
    desk.record("5", input_tokens=9)
    desk.ship()

    assert desk.rerate(dry_run=True).corrected == 1
    assert desk.rerate(model="other").looked == 0
    assert not selectors_prices.corrections(desk.org).exists()


def test_more_records_than_one_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 7)
    monkeypatch.setattr(rerating, "AT_ONCE", 10)
    for _ in range(33):
        desk.record("5", input_tokens=9)
    desk.ship()

    found = desk.rerate()

    assert (found.looked, found.corrected) == (33, 33)
    assert selectors_prices.corrections(desk.org).values("record_id").distinct().count() == 33
    assert desk.rerate().corrected == 0


def test_corrections_are_never_changed_and_need_a_reason_and_an_administrator(desk: Desk) -> None:
    desk.record("5", input_tokens=9)
    desk.ship()
    desk.rerate()
    entry = selectors_prices.corrections(desk.org).get()
    with pytest.raises(TypeError):
        entry.delete()
    with pytest.raises(Exception, match="duplicate key"):
        entry.save()
    with pytest.raises(ValidationError):
        services_prices.add_corrections(actor=desk.actor, organisation_id=desk.org, reason=" ", found=[])
    engineer = type(desk.actor)(
        id="per", name="E", organisation_id=desk.org, roles=frozenset({Role.ENGINEER})
    )
    with pytest.raises(Forbidden):
        services_prices.add_corrections(actor=engineer, organisation_id=desk.org, reason="x", found=[])


class TestCommand:
    def run(self, *argv: str) -> str:
        out = io.StringIO()
        call_command("prices", *argv, stdout=out)
        return out.getvalue()

    def test_rerate(self, desk: Desk) -> None:
        desk.record("5", input_tokens=9)
        desk.ship()
        span = ("rerate", "--from", "2026-01-01", "--to", END.isoformat())

        assert "1 would be corrected, from 5.00 to 0.000009 dollars" in self.run(*span, "--dry-run")
        with pytest.raises(CommandError, match="--reason"):
            self.run(*span)
        who = ("--reason", "The contract", "--author", "Bo Lund", "--organisation", desk.org)
        assert "Alder Bank: 1 records looked at, 1 corrected" in self.run(*span, *who)
        assert "0 corrected" in self.run(*span, *who)
        assert selectors_prices.corrections(desk.org).get().actor_name == "Bo Lund"

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (("rerate", "--from", "2026-02-01", "--to", "2026-01-01", "--dry-run"), "later"),
            (("rerate", "--from", "soon", "--to", "2026-01-01", "--dry-run"), "no date"),
            (
                (
                    "rerate",
                    "--from",
                    "2026-01-01",
                    "--to",
                    "2026-02-01",
                    "--dry-run",
                    "--organisation",
                    "org_x",
                ),
                "no organisation",
            ),
            (("show", "nobody", "gpt-4o"), "no provider nobody"),
            (("show", "openai", "gpt-4o-m"), "Near it: .*gpt-4o-mini,"),
        ],
    )
    def test_faults_say_what_is_wrong(self, argv: tuple[str, ...], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            self.run(*argv)

    def test_show_and_refresh(self, tmp_path: Any) -> None:
        shown = self.run("show", "openai", "gpt-4o-mini")
        assert "openai/gpt-4o-mini, from genai-prices" in shown
        assert "  input: 0.15" in shown
        path = tmp_path / "snapshot.jsonl"
        assert "bytes written" in self.run("refresh", "--output", str(path))
        assert "as the package has it" in self.run("refresh", "--output", str(path))

    def test_estimates_are_measured_by_model(self, desk: Desk) -> None:
        desk.record("0", estimated_input=80, input_tokens=100)
        desk.record("0", estimated_input=300, input_tokens=100)
        desk.record("0", estimated_input=30, input_tokens=100, model="other")
        # The provider did not count these.
        desk.record("0", estimated_input=900, input_tokens=900, usage_source=UsageSource.ESTIMATED)
        desk.record("0", input_tokens=900)
        desk.ship()

        said = self.run(
            "estimates", "--organisation", desk.org, "--from", "2026-01-01", "--to", END.isoformat()
        )

        assert said.splitlines() == [
            "Alder Bank: 2 models with estimates",
            "  other: 0.30 of what was counted, 0.30 to 0.30, over 1 requests",
            "  small: 1.90 of what was counted, 0.80 to 3.00, over 2 requests",
        ]
        assert self.run("estimates", "--to", "2026-01-02") == "Alder Bank: 0 models with estimates\n"
        with pytest.raises(CommandError, match="no organisation"):
            self.run("estimates", "--organisation", "org_none")

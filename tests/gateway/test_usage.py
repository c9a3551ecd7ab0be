# SPDX-License-Identifier: Apache-2.0
"""Usage, prices and reservations as they reach the record: of the target that answers, at its service tier."""

import json
from decimal import Decimal
from typing import Any

import pytest

from apps.providers.domain import Rates
from apps.providers.estimate import OVERHEAD
from apps.providers.rates import Sheet
from tests.gateway.desk import Desk

D = Decimal


def rates(version: str, given: str, made: str, **more: Any) -> Rates:
    return Rates(version=version, input=D(given), output=D(made), **more)


def size_of(model: str, **fields: Any) -> int:
    """The bytes of the request that a desk's chat sends."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("stream", [False, True])
def test_all_counts_of_the_provider_are_kept_and_priced(desk: Desk, stream: bool) -> None:
    own = rates("1", "1", "2", cache_read=D("0.1"), cache_write_5m=D("1.25"), reasoning=D(3))
    model = desk.world.add_model("aspen", rates=own)
    desk.world.add_target(model, desk.world.provider, "usage=1000,500,200,300,100")
    desk.sync()

    record = desk.record(desk.chat("aspen", stream=stream))

    assert record["usage"] == {
        "input": 1000, "output": 500, "cache_read": 200, "cache_write_5m": 300, "reasoning": 100,
    }  # fmt: skip
    # 500 at 1, 200 at 0.1, 300 at 1.25, 400 at 2, 100 at 3.
    assert (D(record["cost"]), record["charged"]) == (D("0.001995"), 1995)
    assert (record["usage_source"], record["price_version"]) == ("provider", "1")
    assert record["estimated_input"] == -(-size_of("aspen", stream=stream) // 4)


def test_the_service_tier_that_was_served_has_its_own_prices(desk: Desk) -> None:
    own = rates("1", "1", "2", services={"default": Sheet(input=D(7), output=D(9))})
    model = desk.world.add_model("aspen", rates=own)
    desk.world.add_target(model, desk.world.provider, "unknown=1;usage=1000,100")
    desk.sync()

    record = desk.record(desk.chat("aspen"))

    assert (record["service_tier"], D(record["cost"])) == ("default", D("0.0079"))


def test_a_dearer_tier_that_is_asked_for_is_reserved(desk: Desk) -> None:
    own = rates("1", "1", "2", services={"priority": Sheet(input=D(3), output=D(5))})
    model = desk.world.add_model("aspen", rates=own, output_cap=100)
    desk.world.add_target(model, desk.world.provider, "usage=10,10")
    desk.sync()

    usual = desk.record(desk.chat("aspen"))
    dear = desk.record(desk.chat("aspen", service_tier="priority"))

    assert usual["reserved"] == size_of("aspen") + OVERHEAD + 2 * 100
    sent = size_of("aspen", service_tier="priority")
    assert dear["reserved"] == 3 * (sent + OVERHEAD) + 5 * 100


def test_what_is_reserved_covers_the_dearest_planned_target(desk: Desk) -> None:
    model = desk.world.add_model("aspen", rates=rates("model", "1", "2"), output_cap=100)
    cheap = rates("cheap", "0.5", "1")
    desk.world.add_target(model, desk.world.provider, "usage=1000,100", rates=cheap)
    desk.world.add_target(
        model, desk.world.provider, "usage=1,1", rank=1, name="dear", rates=rates("dear", "10", "20")
    )
    desk.world.add_target(
        model, desk.world.provider, "usage=2,2", rank=2, name="never", rates=rates("never", "90", "90")
    )
    desk.sync()

    record = desk.record(desk.chat("aspen", n=3))

    assert record["reserved"] == 10 * (size_of("aspen", n=3) + OVERHEAD) + 20 * 3 * 100
    assert (record["price_version"], D(record["cost"])) == ("cheap", D("0.0006"))


@pytest.mark.parametrize("stream", [False, True])
def test_the_target_that_answers_is_the_one_that_is_paid(desk: Desk, stream: bool) -> None:
    model = desk.world.add_model("aspen", rates=rates("model", "1", "2"))
    desk.world.add_target(model, desk.world.provider, "status=500", rates=rates("first", "5", "5"))
    desk.world.add_target(
        model, desk.world.provider, "usage=1000,100", rank=1, name="second", rates=rates("second", "3", "4")
    )
    desk.sync()

    record = desk.record(desk.chat("aspen", stream=stream))

    assert (record["target"], record["price_version"]) == ("second", "second")
    assert D(record["cost"]) == D("0.0034")


def test_prices_that_begin_later_count_from_their_moment_on(desk: Desk) -> None:
    begun = rates("begun", "3", "4", from_ms=1)
    to_come = rates("to come", "9", "9", from_ms=2**45)
    model = desk.world.add_model("aspen", rates=rates("before", "1", "2"), later=(begun, to_come))
    desk.world.add_target(model, desk.world.provider, "usage=1000,100")
    desk.sync()

    record = desk.record(desk.chat("aspen"))

    assert (record["price_version"], D(record["cost"])) == ("begun", D("0.0034"))


def test_without_a_price_nothing_is_charged_and_the_usage_is_kept(desk: Desk) -> None:
    model = desk.world.add_model("aspen", rates=None)
    desk.world.add_target(model, desk.world.provider, "usage=1000,100")
    desk.sync()

    record = desk.record(desk.chat("aspen"))

    assert record["usage"] == {"input": 1000, "output": 100}
    assert (record.get("price_version", ""), record.get("charged", 0), record.get("reserved", 0)) == (
        "",
        0,
        0,
    )


def test_a_stream_that_breaks_off_is_charged_by_what_it_said(desk: Desk) -> None:
    model = desk.world.add_model("aspen", rates=rates("1", "1", "2"))
    desk.world.add_target(model, desk.world.provider, "cut=3")
    desk.sync()

    record = desk.record(desk.chat("aspen", stream=True))

    assert (record["usage_source"], record["error_code"]) == ("estimated", "upstream_error")
    assert record["input_tokens"] == record["estimated_input"] == -(-size_of("aspen", stream=True) // 4)
    assert record["output_tokens"] > 0
    assert "usage" not in record

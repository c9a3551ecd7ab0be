# SPDX-License-Identifier: Apache-2.0
"""What calls cost, to the last decimal, against figures that neither our code nor the price package computed.

`examples.jsonl` holds one call a line. `expected` was worked out by hand-typed prices in whole-number arithmetic
outside this project: prices are those of the page in `source`, as read on `dated`. Where the provider's page could not
be read itself, the source says who transcribed it. A changed price is a new line with a later `at`; a line that says
what a call did cost is never changed to what the code says.
"""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.providers.catalogue import catalogue
from apps.providers.rates import PriceList, Rates, breakdown, cost
from apps.providers.usage import from_record

LINES = Path(__file__).with_name("examples.jsonl").read_text(encoding="utf-8").splitlines()
EXAMPLES: list[dict[str, Any]] = [json.loads(line) for line in LINES]


def priced(example: dict[str, Any]) -> tuple[Rates, int]:
    at_ms = int(datetime.fromisoformat(example["at"]).timestamp() * 1000)
    entry = catalogue().find(example["provider"], example["model"])
    assert entry is not None, f"the catalogue has no {example['model']} of {example['provider']}"
    prices = entry.at(at_ms)
    return Rates(version="1", **{name: getattr(prices, name) for name in PriceList.__struct_fields__}), at_ms


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{number}-{one['model']}-{one['kind']}" for number, one in enumerate(EXAMPLES)]
)
def test_a_call_costs_what_the_provider_says(example: dict[str, Any]) -> None:
    rates, at_ms = priced(example)
    usage, service = from_record(example["usage"]), example.get("service", "")

    assert cost(rates, usage, service, at_ms) == Decimal(example["expected"])
    lines = breakdown(rates, usage, service, at_ms)
    assert sum(line.dollars for line in lines) == Decimal(example["expected"])


def test_there_are_enough_and_each_says_where_it_is_from() -> None:
    assert len(EXAMPLES) >= 200
    assert len({(one["provider"], one["model"]) for one in EXAMPLES}) >= 40
    kinds = {one["kind"] for one in EXAMPLES}
    assert kinds >= {"plain", "cached", "cache writes", "tiered", "batch", "reasoning", "web search", "audio"}
    assert all(one["source"].startswith("https://") and one["dated"] for one in EXAMPLES)
    assert len({one["expected"] for one in EXAMPLES}) == len(EXAMPLES)

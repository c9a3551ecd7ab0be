# SPDX-License-Identifier: Apache-2.0
"""A refusal before any spend: said with its amounts, recorded, and never sent."""

from apps.keys.domain import Budget, Window
from tests.gateway.desk import Desk
from tests.gateway.test_refusals import code


def test_a_budget_that_does_not_cover_a_request(desk: Desk) -> None:
    budget = Budget(id="bgt_small", name="Claims pilot", window=Window.DAY, zone="Europe/Zurich", limit=100)
    desk.world.add_key(desk.second, budgets=(budget,))
    desk.sync()

    refused = desk.chat(headers={"authorization": f"Bearer {desk.second}"})

    assert code(refused) == (429, "budget_exceeded")
    assert "“Claims pilot” has $0.00 of $0.0001 spent" in refused.json()["error"]["message"]
    assert refused.headers["x-smartflow-budget-remaining"] == "0.0001"
    assert int(refused.headers["retry-after"]) >= 1
    assert desk.calls() == []
    assert desk.world.spend(budget) == {}


def test_refusals_after_the_key_are_recorded(desk: Desk) -> None:
    answer = desk.chat("nobody")

    record = desk.record(answer)

    assert (record["status"], record["error_code"], record["verdict"]) == (404, "model_not_found", "refused")
    assert record["key_name"] == "Claims laptop"
    assert record.get("charged", 0) == 0

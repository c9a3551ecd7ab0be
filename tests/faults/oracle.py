# SPDX-License-Identifier: Apache-2.0
"""What clients and the upstream saw, held against what was recorded: everything that does not agree."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from apps.core import redis_names
from tests.faults.clients import Asked
from tests.faults.installation import Installation, Office
from tests.upstreams.running import Upstream

_COLUMNS = ("id", "state", "verdict", "status", "error_code", "charged", "budget_ids", "data->>'reserved'")


@dataclass
class Disagreements:
    """Request ids, or words, of what is wrong; all empty when nothing is."""

    # The client has the whole answer, and there is no finished record of it.
    lacking: set[str] = field(default_factory=set)
    # Its record says something else than the client saw.
    different: set[str] = field(default_factory=set)
    # More than one record of one request.
    doubled: set[str] = field(default_factory=set)
    # The upstream was asked, or the client saw an answer begin, and there is no record at all.
    unclosed: set[str] = field(default_factory=set)
    # Interrupted, and the record does not say so, or does not charge what was reserved.
    misclosed: set[str] = field(default_factory=set)
    # More records than requests.
    strangers: int = 0
    # Counters of the store and of the database that are not the sum of the records.
    counters: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """The judgement, and how much was judged."""

    wrong: Disagreements
    asked: int
    whole: int
    broken: int
    interrupted: int

    def __str__(self) -> str:
        return (
            f"{self.asked} requests, {self.whole} whole, {self.broken} broken, {self.interrupted} closed as "
            f"interrupted, {len(self.wrong.lacking)} lost"
        )


def judge(installation: Installation, office: Office, log: list[Asked], upstream: Upstream) -> Outcome:
    """Hold the clients' log and the upstream's against PostgreSQL and the counters in Valkey."""
    with installation.database() as database:
        rows = database.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM audit_record WHERE organisation_id = %s", [office.id]
        ).fetchall()
    records = {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in rows}
    wrong = Disagreements(
        doubled={name for name, times in Counter(row[0] for row in rows).items() if times > 1}
    )
    reached = {line["request_id"]: line for line in upstream.lines() if line["model"] == office.script}
    for asked in log:
        if asked.whole:
            _judge_whole(asked, records.get(asked.id), wrong)
    whole = {asked.id for asked in log if asked.whole}
    begun = {asked.id for asked in log if asked.id} - whole
    wrong.unclosed = (begun | set(reached)) - whole - set(records)
    for name in set(records) - whole:
        _judge_broken(records[name], reached.get(name), wrong)
    unseen = sum(not asked.id for asked in log)
    wrong.strangers = max(0, len((set(records) | set(reached)) - whole - begun) - unseen)
    wrong.counters = _judge_counters(installation, office, records)
    return Outcome(
        wrong,
        asked=len(log),
        whole=len(whole),
        broken=len(log) - len(whole),
        interrupted=sum(record["state"] == "interrupted" for record in records.values()),
    )


def _judge_whole(asked: Asked, record: dict[str, Any] | None, wrong: Disagreements) -> None:
    if record is None or record["state"] != "done":
        wrong.lacking.add(asked.id)
    elif (record["status"], record["charged"]) != (asked.status, asked.cost):
        wrong.different.add(asked.id)


def _judge_broken(record: dict[str, Any], line: dict[str, Any] | None, wrong: Disagreements) -> None:
    """No client has this answer whole: it ended at the upstream all the same, or it was interrupted."""
    if record["state"] == "interrupted":
        said = record["verdict"], record["error_code"], record["charged"]
        right = said == ("failed", "interrupted", int(record["data->>'reserved'"])) and record["charged"] > 0
    else:
        right = record["status"] != 200 or (line is not None and line["completed"])
    if not right:
        wrong.misclosed.add(record["id"])


def _judge_counters(
    installation: Installation, office: Office, records: dict[str, dict[str, Any]]
) -> list[str]:
    found = []
    with installation.store() as store, installation.database() as database:
        for name, budget in office.budgets.items():
            mine = [record["charged"] for record in records.values() if budget in record["budget_ids"]]
            fields = store.hgetall(redis_names.spend(office.id, budget))
            counted = {key.decode().partition(":")[2]: int(value) for key, value in fields.items()}
            query = "SELECT sum(charged), sum(records) FROM audit_spend WHERE budget_id = %s"
            spent = tuple(int(value or 0) for value in database.execute(query, [budget]).fetchone() or ())
            if (counted.get("spent", 0), counted.get("held", 0)) != (sum(mine), 0):
                found.append(f"{name}: the store counts {counted}, records say {sum(mine)}")
            if spent != (sum(mine), len(mine)):
                found.append(f"{name}: the database counts {spent}, records say {sum(mine)} in {len(mine)}")
    return found

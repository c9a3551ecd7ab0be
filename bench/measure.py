# SPDX-License-Identifier: Apache-2.0
"""Rounds: every row gets its slot in turn, A B C A B C, so that what the machine does meets all of them."""

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench import processes
from bench.figures import Series, Slot
from bench.load import Order, Outcome
from bench.rows import Row
from bench.traffic import Shape
from smartflow_site.env import ROOT


class WrongAnswersError(Exception):
    """A row gave answers that are not the upstream's: nothing of the run counts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often: seconds per slot, slots per row."""

    rounds: int
    seconds: float


def send(order: Order) -> Outcome:
    """Carry an order out in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


def fresh_number() -> int:
    """Where the numbers of a slot's requests begin: no slot repeats the prompts of another."""
    return random.randrange(10**12)


def slot(row: Row, shape: Shape, concurrency: int, *, seconds: float = 0.0, requests: int = 0) -> Slot:
    """One row under load; WrongAnswersError when an answer is wrong or none came."""
    order = row.order(shape, concurrency, fresh_number(), seconds=seconds, requests=requests)
    before = processes.cpu_ns(row.pid) if row.pid else 0
    stores_before = {name: processes.cpu_ns(pid) for name, pid in row.stores.items()}
    outcome = send(order)
    spent = (processes.cpu_ns(row.pid) - before if row.pid else 0) / 1000
    if outcome.wrong or not outcome.requests:
        raise WrongAnswersError(f"{row.name} ({shape.name}): {outcome.wrong or 'no answer at all'}")
    stores = {
        name: (processes.cpu_ns(pid) - stores_before[name]) / 1000 / outcome.requests
        for name, pid in row.stores.items()
    }
    return Slot(
        requests=outcome.requests,
        seconds=outcome.seconds,
        cpu_us=spent / outcome.requests,
        cpu_us_event=spent / outcome.events if outcome.events else 0.0,
        stores_us=stores,
        p50_ms=outcome.whole.p50,
        p99_ms=outcome.whole.p99,
        ttft_ms=outcome.first_byte.p50,
        gap_p50_ms=outcome.gap.p50,
        gap_p99_ms=outcome.gap.p99,
    )


def rounds(
    rows: Sequence[Row], shape: Shape, concurrency: int, plan: Plan, say: Callable[[str], None]
) -> list[Series]:
    """One warm-up slot per row, then the rounds."""
    found = [Series(row.name, shape.name, concurrency) for row in rows]
    for row in rows:
        slot(row, shape, concurrency, seconds=min(plan.seconds, 1.0))
    for number in range(plan.rounds):
        for row, series in zip(rows, found, strict=True):
            one = slot(row, shape, concurrency, seconds=plan.seconds)
            series.slots.append(one)
            say(
                f"{shape.name} c={concurrency} round {number + 1}/{plan.rounds} {row.name}: "
                f"{one.requests} requests, {one.cpu_us:.0f} us"
            )
    return found

# SPDX-License-Identifier: Apache-2.0
"""The scripts that decide about money, on the store they run in, by both makers."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.core import clock, ids, redis_names, values
from apps.core.redis import Redis
from apps.keys import stage, store
from apps.keys.book import KeyBook
from apps.keys.domain import Assurance, Budget, Caller, Key, OpenRecord, Window, boundaries

ORG, EPOCH = "org_alder", "e1"


def caller(*budgets: Budget, **more: Any) -> Caller:
    """Dana Whitfield with a path of budgets."""
    fixed: dict[str, Any] = {
        "id": "key_dana",
        "organisation_id": ORG,
        "organisation_name": "Alder Bank",
        "digest": "d" * 64,
        "name": "Claims laptop",
        "hint": "sk-sf-dddd…dddd",
    }
    return Caller(Key(**(fixed | more), budgets=budgets), Assurance.VERIFIED, "Dana Whitfield")


def wish(of: Caller, reserved: int, *, probe: bool = False, epoch: str = EPOCH) -> store.Reservation:
    record = OpenRecord(
        id=ids.new("req"),
        organisation_id=ORG,
        key_id=of.key.id,
        lease="ls_one",
        budget_ids=tuple(budget.id for budget in of.key.budgets),
        reserved=reserved,
    )
    return store.Reservation(open=record, epoch=epoch, cache_digest="answer", probe=probe)


async def built(redis: Redis) -> None:
    """Say that the counters are complete."""
    await redis.command("SET", redis_names.counters(ORG), EPOCH)


async def counters(redis: Redis, budget: Budget) -> dict[str, int]:
    """Spent and held of a budget, over all windows."""
    pairs = await redis.command("HGETALL", redis_names.spend(ORG, budget.id))
    found: dict[str, int] = {"spent": 0, "held": 0}
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        found[name.decode().partition(":")[2]] += int(value)
    return found


async def under_way(redis: Redis) -> int:
    return int(await redis.command("HGET", redis_names.rates(ORG, "key_dana"), "now") or 0)


async def opens(redis: Redis) -> int:
    return int(await redis.command("HLEN", redis_names.open_records(ORG, "ls_one")))


async def settle(redis: Redis, record: OpenRecord, charged: int) -> bool:
    return await stage.settle(redis, record, charged)


async def test_64_at_once_never_reserve_past_the_limit(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    await built(counting)

    answers = await asyncio.gather(*(store.admit(counting, dana, wish(dana, 90)) for _ in range(64)))

    kinds = [answer[0] for answer in answers]
    assert (kinds.count(b"ok"), kinds.count(b"budget")) == (11, 53)
    assert await counters(counting, budget) == {"spent": 0, "held": 990}
    assert (await opens(counting), await under_way(counting)) == (11, 11)


async def test_the_tightest_budget_of_a_path_decides_and_nothing_is_held_then(counting: Redis) -> None:
    wide, tight = (
        Budget(id="bgt_org", name="Bank", limit=10_000),
        Budget(id="bgt_team", name="Claims", limit=50),
    )
    dana = caller(wide, tight)
    await built(counting)

    answer = await store.admit(counting, dana, wish(dana, 60))

    assert answer[:5] == [b"budget", b"1", b"0", b"0", b"50"]
    assert await counters(counting, wide) == {"spent": 0, "held": 0}
    assert (await opens(counting), await under_way(counting)) == (0, 0)


async def test_settling_twice_is_settling_once(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    asked = wish(dana, 300)
    await built(counting)
    await store.admit(counting, dana, asked)

    settled = await asyncio.gather(*(settle(counting, asked.open, 120) for _ in range(10)))

    assert settled.count(True) == 1
    assert await counters(counting, budget) == {"spent": 120, "held": 0}
    assert (await opens(counting), await under_way(counting)) == (0, 0)


async def test_a_charge_above_its_reservation_counts_whole(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    asked = wish(dana, 300)
    await built(counting)
    await store.admit(counting, dana, asked)

    await settle(counting, asked.open, 1200)

    assert await counters(counting, budget) == {"spent": 1200, "held": 0}
    assert (await store.admit(counting, dana, wish(dana, 0)))[0] == b"budget"


async def test_without_built_counters_hard_budgets_wait_and_soft_ones_go_on(counting: Redis) -> None:
    hard = caller(Budget(id="bgt_hard", name="Hard", limit=1000))
    soft = caller(Budget(id="bgt_soft", name="Soft", limit=1000, hard=False))
    counted = caller(Budget(id="bgt_count", name="Counted", limit=None))

    assert (await store.admit(counting, hard, wish(hard, 1)))[0] == b"unbuilt"
    assert (await store.admit(counting, soft, wish(soft, 1)))[0] == b"ok"
    assert (await store.admit(counting, counted, wish(counted, 1)))[0] == b"ok"
    await built(counting)
    assert (await store.admit(counting, hard, wish(hard, 1, epoch="e0")))[0] == b"unbuilt"
    assert (await store.admit(counting, hard, wish(hard, 1)))[0] == b"ok"


async def test_a_soft_budget_is_counted_past_its_limit(counting: Redis) -> None:
    budget = Budget(id="bgt_soft", name="Soft", limit=100, hard=False)
    dana = caller(budget)
    for _ in range(3):
        asked = wish(dana, 80)
        assert (await store.admit(counting, dana, asked))[0] == b"ok"
        await settle(counting, asked.open, 80)

    assert await counters(counting, budget) == {"spent": 240, "held": 0}


async def test_a_found_answer_counts_as_a_request_and_reserves_nothing(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget, requests_per_minute=100, requests_at_once=1)
    await built(counting)
    await counting.command("SET", redis_names.cached(ORG, "answer"), "stored")
    busy = wish(dana, 10)
    await store.admit(counting, dana, busy)

    answer = await store.admit(counting, dana, wish(dana, 5000, probe=True))

    assert (answer[0], answer[2]) == (b"hit", b"stored")
    assert await counters(counting, budget) == {"spent": 0, "held": 10}
    assert (await opens(counting), await under_way(counting)) == (1, 1)
    assert int(answer[1]) == 98


async def test_a_used_up_budget_also_refuses_found_answers(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=100)
    dana = caller(budget)
    await built(counting)
    await counting.command("SET", redis_names.cached(ORG, "answer"), "stored")
    asked = wish(dana, 100)
    await store.admit(counting, dana, asked)
    await settle(counting, asked.open, 100)

    assert (await store.admit(counting, dana, wish(dana, 1, probe=True)))[0] == b"budget"


async def test_requests_at_once_are_given_back(counting: Redis) -> None:
    dana = caller(requests_at_once=3)

    asked = [wish(dana, 0) for _ in range(10)]
    answers = await asyncio.gather(*(store.admit(counting, dana, one) for one in asked))
    admitted = [one for one, answer in zip(asked, answers, strict=True) if answer[0] == b"ok"]
    refused = [answer for answer in answers if answer[0] != b"ok"]
    await settle(counting, admitted[0].open, 0)

    assert len(admitted) == 3
    assert refused == [[b"parallel", b"3"]] * 7
    assert (await store.admit(counting, dana, wish(dana, 0)))[0] == b"ok"


async def test_requests_per_minute_slide(counting: Redis) -> None:
    dana = caller(requests_per_minute=60)
    rates = redis_names.rates(ORG, "key_dana")
    now = int((await counting.command("TIME"))[0])
    minute, second = divmod(now, 60)
    # Forty in the minute before: at its end they weigh nothing, at its beginning all.
    await counting.command("HSET", rates, minute - 1, 40, minute - 5, 7)

    answers = await asyncio.gather(*(store.admit(counting, dana, wish(dana, 0)) for _ in range(70)))

    admitted = [answer for answer in answers if answer[0] == b"ok"]
    refused = [answer for answer in answers if answer[0] == b"rate"]
    expected = 60 - 40 * (60 - second) / 60
    # A second may pass between our look at the store's clock and the script's.
    assert expected - 1 <= len(admitted) <= min(60, expected + 2)
    assert len(admitted) + len(refused) == 70
    assert all(1 <= int(answer[2]) <= 120 and answer[1] == b"60" for answer in refused)
    assert [int(answer[1]) for answer in admitted] == sorted((int(a[1]) for a in admitted), reverse=True)
    assert await counting.command("HGET", rates, minute - 5) is None


async def test_a_window_is_chosen_by_the_stores_clock(counting: Redis) -> None:
    now = int((await counting.command("TIME"))[0])
    starts = [now - 7200, now - 3600, now + 3600]
    budget = Budget(id="bgt_day", name="Day", limit=1000, window=Window.DAY)
    dana = caller(budget)
    asked = wish(dana, 10)
    await built(counting)
    name = redis_names.spend(ORG, budget.id)
    await counting.command("HSET", name, f"{starts[0]}:spent", 1000)
    keys = [
        redis_names.counters(ORG),
        redis_names.open_records(ORG, "ls_one"),
        redis_names.open_leases(ORG),
        redis_names.cached(ORG, "answer"),
        redis_names.rates(ORG, "key_dana"),
        name,
    ]
    fixed = [EPOCH, asked.open.id, "ls_one", "{}", 10, 0, 0, 0, 1000, 1, 3]

    answer = await counting.script(store.ADMIT_SCRIPT, keys, [*fixed, *starts])

    # A gateway whose clock is behind still named the window before: it is over, and its spend is not ours.
    assert answer[0] == b"ok"
    assert [int(cell) for cell in answer[3:5]] == [now - 3600, now + 3600]
    assert int(await counting.command("HGET", name, f"{now - 3600}:held")) == 10


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 600), st.booleans()), max_size=30))
@example([(0, 0, True), (0, 7, True)])
def test_spent_and_held_are_the_sum_of_what_happened(
    counting_url: str, steps: list[tuple[int, int, bool]]
) -> None:
    """However requests come and end: held is what is open, spent what was charged, and reservations stay in the limit."""

    async def play() -> None:
        redis = Redis(counting_url, scripts=store.SCRIPTS)
        await redis.start()
        try:
            await redis.command("FLUSHALL")
            await built(redis)
            await requests_come_and_end(redis, steps)
        finally:
            await redis.stop()

    asyncio.run(play())


async def requests_come_and_end(redis: Redis, steps: list[tuple[int, int, bool]]) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    waiting: dict[OpenRecord, int] = {}
    spent = 0
    for reserve, charge, ends in steps:
        asked = wish(dana, reserve)
        held = sum(waiting.values())
        answer = await store.admit(redis, dana, asked)
        assert (answer[0] == b"ok") == (spent + held + reserve <= 1000)
        if answer[0] == b"ok":
            waiting[asked.open] = reserve
        if ends and waiting:
            record = next(iter(waiting))
            assert await settle(redis, record, charge)
            waiting.pop(record)
            spent += charge
        assert await counters(redis, budget) == {"spent": spent, "held": sum(waiting.values())}
        assert await opens(redis) == await under_way(redis) == len(waiting)


async def test_registering_again_what_the_store_lost(counting: Redis) -> None:
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    asked = wish(dana, 300)
    await built(counting)
    answer = await store.admit(counting, dana, asked)
    windows = (int(answer[3]),)
    kept = await store.reopen(counting, asked.open, windows)
    await counting.command("FLUSHALL")

    again = [await store.reopen(counting, asked.open, windows) for _ in range(2)]

    assert (kept, again) == (False, [True, False])
    assert await counters(counting, budget) == {"spent": 0, "held": 300}
    assert await settle(counting, asked.open, 100)
    assert await counters(counting, budget) == {"spent": 100, "held": 0}


async def test_a_store_that_forgot_the_scripts_is_taught_again(counting: Redis) -> None:
    dana = caller()
    await counting.command("SCRIPT", "FLUSH")

    assert (await store.admit(counting, dana, wish(dana, 1)))[0] == b"ok"


async def test_the_moment_of_admission_is_the_stores_and_survives_being_registered_again(
    counting: Redis,
) -> None:
    dana = caller(Budget(id="bgt_day", name="Day", limit=1000, window=Window.DAY))
    await built(counting)
    before = int((await counting.command("TIME"))[0])

    admission = await stage.admit(counting, KeyBook(counting), dana, wish(dana, 10))

    after = int((await counting.command("TIME"))[0])
    assert isinstance(admission, stage.Admission)
    assert admission.open is not None
    assert admission.admitted_ms % 1000 == 0
    assert before <= admission.admitted_ms // 1000 <= after
    assert await stored(counting, admission.open) == (10, admission.windows, admission.open)
    await counting.command("DEL", redis_names.open_records(ORG, "ls_one"))
    await stage.reopen(counting, [(admission.open, admission.windows)])
    assert await stored(counting, admission.open) == (10, admission.windows, admission.open)


async def test_a_guess_says_when_it_was_made() -> None:
    nowhere = Redis("redis://127.0.0.1:1/0", scripts=store.SCRIPTS)
    dana = caller(Budget(id="bgt_day", name="Day", limit=None, window=Window.DAY))

    guess = await stage.admit(nowhere, KeyBook(nowhere), dana, wish(dana, 10))

    assert isinstance(guess, stage.Admission)
    assert guess.guessed
    assert guess.open is not None
    assert guess.admitted_ms == guess.open.admitted_ms > 0
    assert guess.windows == (boundaries(Window.DAY, "UTC", clock.from_ms(guess.admitted_ms))[0],)


async def test_an_open_record_of_the_form_before_is_settled(counting: Redis) -> None:
    """It did not say when it was admitted."""
    budget = Budget(id="bgt_claims", name="Claims", limit=1000)
    dana = caller(budget)
    asked = wish(dana, 300)
    await built(counting)
    await store.admit(counting, dana, asked)
    name = redis_names.open_records(ORG, "ls_one")
    await counting.command("HSET", name, asked.open.id, b"300;0|" + values.encode(asked.open))

    assert (await stored(counting, asked.open))[2].admitted_ms == 0
    assert await settle(counting, asked.open, 100)
    assert await counters(counting, budget) == {"spent": 100, "held": 0}


async def stored(redis: Redis, record: OpenRecord) -> tuple[int, tuple[int, ...], OpenRecord]:
    """An open record as the store has it."""
    raw = await redis.command("HGET", redis_names.open_records(ORG, "ls_one"), record.id)
    return store.split_open(raw)

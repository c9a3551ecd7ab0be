# SPDX-License-Identifier: Apache-2.0
"""Sweeping, late ends, rebuilding and comparing, with real stores; every operation races with itself."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.analytics import rebuilding, reconciling, store, sweeping, tasks
from apps.analytics.models import Difference
from apps.audit import selectors, services
from apps.audit.models import Correction
from apps.core import clock, ids, redis_names
from apps.notify.models import Notice
from tests.analytics.conftest import CHARGED, RESERVED, World

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def together(work: Callable[[], Any], times: int = 4) -> list[Any]:
    """Run the same work in several threads at once; their answers."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(work())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == times
    return answers


def flush(world: World, epoch: str = "e2") -> None:
    """The store loses everything and is published anew."""
    world.client.flushall()
    world.publish(epoch)


# Sweeping


def test_a_dead_process_s_exchanges_end_at_their_figure_or_as_interrupted(world: World) -> None:
    """Seen red with the journal switched off: the finished exchange is charged its reservation."""
    world.built()
    gateway = world.process()
    gateway.serves()
    finished, lost = gateway.admits(), gateway.admits()
    gateway.journals(finished)
    gateway.dies()
    world.ship()
    assert world.spend == {"spent": CHARGED, "held": 2 * RESERVED}
    assert sweeping.sweep(world.client) == 2
    assert world.spend == {"spent": 2 * CHARGED + RESERVED, "held": 0}
    states = world.states()
    assert states[finished.id] == ("done", CHARGED)
    assert states[lost.id] == ("interrupted", RESERVED)
    record = selectors.get(world.organisation_id, lost.id)
    assert record is not None
    assert (record.person_name, record.usage_source, record.lease) == ("Anna Berg", "unknown", gateway.lease)
    assert store.open_leases(world.client, world.organisation_id) == []
    assert store.acknowledged(world.client) == {}


def test_a_living_process_is_left_alone(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.admits()
    world.ship()
    assert sweeping.sweep(world.client) == 0
    # Cut off from the store it still lives, and its journal says so.
    world.client.delete(redis_names.lease(gateway.lease))
    world.ship()
    assert sweeping.sweep(world.client) == 0
    assert world.spend["held"] == RESERVED
    assert world.states() == {}


def test_nothing_is_closed_before_the_journal_is_shipped(world: World) -> None:
    world.built()
    gateway = world.process()
    record = gateway.admits()
    gateway.journals(record)
    gateway.dies()
    assert sweeping.sweep(world.client) == 0
    world.ship()
    assert sweeping.sweep(world.client) == 1
    assert world.states() == {record.id: ("done", CHARGED)}


def test_a_journal_that_was_lost_with_its_disk_is_given_up_after_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.built()
    gateway = world.process()
    gateway.admits()
    gateway.dies()
    assert sweeping.sweep(world.client) == 0
    later = clock.now() + sweeping.LOST_AFTER * 2
    monkeypatch.setattr(sweeping.clock, "now", lambda: later)
    assert sweeping.sweep(world.client) == 1
    assert world.spend == {"spent": RESERVED, "held": 0}


def test_many_sweeps_at_once_settle_once(world: World) -> None:
    world.built()
    gateway = world.process()
    for number in range(20):
        record = gateway.admits()
        if number % 2:
            gateway.journals(record)
    gateway.dies()
    world.ship()
    assert sum(together(lambda: sweeping.sweep(world.client))) == 20
    assert world.spend == {"spent": 10 * CHARGED + 10 * RESERVED, "held": 0}
    assert len(world.states()) == 20


def test_a_record_that_nobody_can_read_is_kept_and_the_others_are_closed(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.admits()
    name = redis_names.open_records(world.organisation_id, gateway.lease)
    world.client.hset(name, "req_x", b"10;0|{nonsense")
    gateway.dies()
    world.ship()
    assert sweeping.sweep(world.client) == 1
    assert world.client.hkeys(name) == [b"req_x"]


# Late ends


def test_a_late_end_moves_the_counter_once(world: World) -> None:
    world.built()
    gateway = world.process()
    record = gateway.admits()
    gateway.dies()
    world.ship()
    sweeping.sweep(world.client)
    assert world.spend == {"spent": RESERVED, "held": 0}
    late = world.process()
    late.journals(record)
    world.ship()
    assert world.states() == {record.id: ("done", CHARGED)}
    together(lambda: sweeping.apply_corrections(world.client))
    assert world.spend == {"spent": CHARGED, "held": 0}
    assert not Correction.objects.filter(applied_at=None).exists()
    Correction.objects.update(applied_at=None)
    sweeping.apply_corrections(world.client)
    assert world.spend == {"spent": CHARGED, "held": 0}


def test_an_end_that_came_before_the_sweep_is_not_corrected_twice(world: World) -> None:
    """The shipper closed it, its end came, and only then the store's open record is swept."""
    world.built()
    gateway = world.process()
    record = gateway.admits()
    gateway.dies()
    world.ship()
    services.close_interrupted([sweeping.record_of(record)])
    late = world.process()
    late.journals(record)
    world.ship()
    sweeping.sweep(world.client)
    sweeping.apply_corrections(world.client)
    assert world.spend == {"spent": CHARGED, "held": 0}


def test_a_rebuild_includes_corrections_and_they_are_not_applied_again(world: World) -> None:
    world.built()
    gateway = world.process()
    record = gateway.admits()
    gateway.dies()
    world.ship()
    sweeping.sweep(world.client)
    world.process().journals(record)
    world.ship()
    flush(world)
    assert sweeping.apply_corrections(world.client) == 0
    assert rebuilding.rebuild_organisation(world.client, world.organisation_id)
    assert world.spend == {"spent": CHARGED}
    Correction.objects.update(applied_at=None)
    sweeping.apply_corrections(world.client)
    assert world.spend == {"spent": CHARGED}


# Rebuilding


def test_lost_counters_come_back_from_the_records(world: World) -> None:
    """Seen red with the journal switched off: the counters come back as nothing."""
    world.built()
    gateway = world.process()
    for _ in range(3):
        gateway.serves()
    flush(world)
    assert rebuilding.unbuilt(world.client) == [world.organisation_id]
    assert rebuilding.waiting_for(world.client) == []
    gateway.says_it_lives()
    [reason] = rebuilding.waiting_for(world.client)
    assert "not shipped" in reason
    world.ship()
    tasks.rebuild()
    assert world.spend == {"spent": 3 * CHARGED}
    assert world.counters == "e2"
    tasks.rebuild()
    assert world.spend == {"spent": 3 * CHARGED}


def test_a_rebuild_waits_for_every_living_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "WAIT_SECONDS", 0.5)
    world.built()
    one, two = world.process(), world.process()
    one.serves()
    two.serves()
    world.ship()
    flush(world)
    one.says_it_lives()
    tasks.rebuild()
    assert world.counters == ""
    [reason] = rebuilding.waiting_for(world.client)
    assert reason == f"{two.lease} has not registered its open exchanges again"
    two.says_it_lives()
    tasks.rebuild()
    assert (world.counters, world.spend) == ("e2", {"spent": 2 * CHARGED})


def test_a_process_that_died_unshipped_is_waited_for_and_then_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.built()
    gateway = world.process()
    world.ship()
    gateway.serves()
    gateway.dies()
    flush(world)
    later = clock.now() + rebuilding.SEEN_LATELY * 2
    monkeypatch.setattr(rebuilding.clock, "now", lambda: later)
    [reason] = rebuilding.waiting_for(world.client)
    assert "not wholly shipped" in reason
    much_later = clock.now() + rebuilding.ABANDONED_AFTER * 2
    monkeypatch.setattr(rebuilding.clock, "now", lambda: much_later)
    assert rebuilding.waiting_for(world.client) == []
    world.ship()
    monkeypatch.undo()
    assert rebuilding.waiting_for(world.client) == []


def test_what_is_open_or_settled_in_the_new_store_is_counted_once(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.serves()
    flush(world)
    # One exchange begins and ends before the rebuild, one has its record and no settlement yet, one is open.
    world.client.set(redis_names.counters(world.organisation_id), "e2")
    ended, recorded, running = gateway.admits(), gateway.admits(), gateway.admits()
    world.client.delete(redis_names.counters(world.organisation_id))
    gateway.journals(ended)
    gateway.settles(ended)
    world.client.sadd(redis_names.settled(world.organisation_id), ended.id)
    gateway.journals(recorded)
    gateway.says_it_lives()
    world.ship()
    tasks.rebuild()
    assert world.spend == {"spent": 2 * CHARGED, "held": 2 * RESERVED}
    assert not world.client.exists(redis_names.settled(world.organisation_id))
    gateway.settles(recorded)
    gateway.journals(running)
    gateway.settles(running)
    assert world.spend == {"spent": 4 * CHARGED, "held": 0}
    world.ship()
    assert reconciling.reconcile(world.client) == []


def test_many_rebuilds_at_once_add_once(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.serves()
    world.ship()
    flush(world)
    gateway.says_it_lives()
    answers = together(lambda: rebuilding.rebuild_organisation(world.client, world.organisation_id))
    assert True in answers
    assert world.spend == {"spent": CHARGED}


def test_a_store_lost_again_in_the_middle_is_not_declared_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.built()
    gateway = world.process()
    gateway.serves()
    world.ship()
    flush(world)
    real = store.touched_ids

    def lost(client: Any, organisation_id: str) -> set[str]:
        flush(world, "e3")
        return real(client, organisation_id)

    monkeypatch.setattr(store, "touched_ids", lost)
    assert not rebuilding.rebuild_organisation(world.client, world.organisation_id)
    assert (world.counters, world.spend) == ("", {})
    monkeypatch.undo()
    assert rebuilding.rebuild_organisation(world.client, world.organisation_id)
    assert (world.counters, world.spend) == ("e3", {"spent": CHARGED})


def test_counters_that_survived_a_new_epoch_are_kept(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.serves()
    gateway.admits()
    world.ship()
    world.publish("e2")
    gateway.says_it_lives()
    tasks.rebuild()
    assert (world.counters, world.spend) == ("e2", {"spent": CHARGED, "held": RESERVED})


def test_a_new_organisation_begins_at_nothing_and_may_spend(world: World) -> None:
    world.publish("e1")
    tasks.rebuild()
    assert world.counters == "e1"
    world.process().serves()
    assert world.spend == {"spent": CHARGED, "held": 0}


def test_nothing_is_rebuilt_before_anything_is_published(world: World) -> None:
    tasks.rebuild()
    assert world.counters == ""


def test_what_a_process_says_may_be_nonsense(world: World) -> None:
    world.built()
    lease = ids.new("ls")
    for said in (b"nonsense", b"{}", b"[]", json.dumps({"epoch": 1, "position": "x", "at": 0}).encode()):
        world.client.hset(redis_names.LEASES, lease, said)
        assert store.acknowledged(world.client)[lease].epoch in {"", "1"}


# Comparing


def test_a_difference_is_reported_once_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "PAUSE_SECONDS", 0.01)
    world.built()
    gateway = world.process()
    gateway.serves()
    world.ship()
    tasks.reconcile()
    assert not Difference.objects.exists()
    spend = redis_names.spend(world.organisation_id, world.budget.id)
    world.client.hincrby(spend, "0:spent", -200)
    tasks.reconcile()
    tasks.reconcile()
    assert (
        list(Difference.objects.values_list("budget_id", "counted", "recorded"))
        == [(world.budget.id, CHARGED - 200, CHARGED)] * 2
    )
    [notice] = Notice.objects.all()
    assert (notice.event, notice.organisation_id) == ("budget.differs", world.organisation_id)
    assert world.spend["spent"] == CHARGED - 200


def test_an_exchange_on_its_way_is_no_difference(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.built()
    gateway = world.process()
    gateway.serves()
    monkeypatch.setattr(reconciling.time, "sleep", lambda _seconds: world.ship())
    assert reconciling.reconcile(world.client) == []


# One at a time


def test_a_task_runs_in_one_worker_at_a_time(world: World) -> None:
    world.built()
    gateway = world.process()
    gateway.admits()
    gateway.dies()
    world.ship()
    world.database.execute("SELECT pg_advisory_lock(hashtext('smartflow'), hashtext('analytics.counters'))")
    tasks.sweep()
    assert world.spend["held"] == RESERVED
    world.database.execute("SELECT pg_advisory_unlock(hashtext('smartflow'), hashtext('analytics.counters'))")
    tasks.sweep()
    assert world.spend["held"] == 0

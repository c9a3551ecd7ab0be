# SPDX-License-Identifier: Apache-2.0
"""Exchanges of which store and process know different things, because they could not speak when it mattered."""

from datetime import timedelta

import pytest

from apps.analytics import sweeping
from apps.audit import journal, selectors
from apps.audit.domain import Record, State, encode_record
from apps.core import ids, redis_names
from tests.analytics.conftest import CHARGED, RESERVED, Process, World

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def guesses(gateway: Process, *, epoch: str = "e1", kind: bytes = journal.DONE) -> Record:
    """An exchange that was admitted on a share: the journal alone knows of it."""
    world = gateway.world
    record = Record(
        id=ids.new("req"), organisation_id=world.organisation_id, key_id="key_a", model="small", charged=CHARGED,
        reserved=RESERVED, budget_ids=(world.budget.id,), lease=gateway.lease, guessed=epoch,
        state=State.DONE if kind == journal.DONE else State.OPEN,
    )  # fmt: skip
    gateway.book.write(kind, encode_record(record))
    return record


def test_what_the_store_was_never_told_is_counted_once_the_process_is_dead(world: World) -> None:
    """Seen red with `_count_guesses` left out: the counter stays short for as long as the store lives."""
    world.built()
    gateway = world.process()
    gateway.serves()
    guesses(gateway)
    guesses(gateway, kind=journal.OPEN)
    world.ship()
    assert sweeping.sweep(world.client) == 0
    gateway.dies()
    world.ship()

    assert sweeping.sweep(world.client) == 2

    assert world.spend == {"spent": 2 * CHARGED + RESERVED, "held": 0}
    gateway.says_it_lives()
    world.client.delete(redis_names.lease(gateway.lease))
    assert sweeping.sweep(world.client) == 0
    assert world.spend["spent"] == sum(charged for _state, charged in world.states().values())


def test_what_the_process_told_before_it_died_is_not_counted_again(world: World) -> None:
    world.built()
    gateway = world.process()
    told, settled = guesses(gateway), guesses(gateway)
    gateway.tells(told)
    gateway.settles(gateway.tells(settled))
    gateway.dies()
    world.ship()

    assert sweeping.sweep(world.client) == 1

    assert world.spend == {"spent": 2 * CHARGED, "held": 0}


def test_an_admission_whose_answer_was_lost_is_settled_and_not_counted_besides(world: World) -> None:
    """The script ran, the store went away before it said so, and the process took it for a guess."""
    world.built()
    gateway = world.process()
    opened = gateway.admits()
    record = guesses(gateway)
    world.client.hset(*_moved(world, gateway, opened.id, record.id))
    world.client.hdel(redis_names.open_records(world.organisation_id, gateway.lease), opened.id)
    gateway.dies()
    world.ship()

    assert sweeping.sweep(world.client) == 1

    assert world.spend == {"spent": CHARGED, "held": 0}


def test_a_rebuild_has_counted_guesses_of_the_epoch_before(world: World) -> None:
    world.built()
    gateway = world.process()
    guesses(gateway)
    gateway.dies()
    world.ship()
    world.built("e2")

    assert sweeping.sweep(world.client) == 0

    assert world.spend == {}


def test_an_interrupted_exchange_falls_into_the_window_that_the_store_chose(world: World) -> None:
    world.built()
    gateway = world.process()
    before = int(world.client.time()[0])
    lost = gateway.admits()
    after = int(world.client.time()[0])
    gateway.dies()
    world.ship()
    sweeping.sweep(world.client)

    [charge] = selectors.charges_of(world.organisation_id, [lost.id])

    assert charge.accounted_at.microsecond == 0
    assert before <= charge.accounted_at.timestamp() <= after


def test_what_a_living_process_was_admitted_without_knowing_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's answer came too late, the caller was refused, and the refusal is on record."""
    world.built()
    gateway = world.process()
    refused, running = gateway.admits(), gateway.admits()
    gateway.journals(refused, charged=0)
    world.ship()
    assert sweeping.sweep(world.client) == 0
    monkeypatch.setattr(sweeping, "RECORDED_AFTER", timedelta(0))

    assert sweeping.sweep(world.client) == 1

    assert world.spend == {"spent": 0, "held": RESERVED}
    gateway.journals(running)
    assert gateway.settles(running)
    assert world.spend == {"spent": CHARGED, "held": 0}


def _moved(world: World, gateway: Process, old: str, new: str) -> tuple[str, str, bytes]:
    """The open record of one exchange under the name of another."""
    name = redis_names.open_records(world.organisation_id, gateway.lease)
    return name, new, world.client.hget(name, old).replace(old.encode(), new.encode())

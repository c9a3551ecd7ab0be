# SPDX-License-Identifier: Apache-2.0
"""Asking, deciding, expiring: four eyes, one winner, and everything written down."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, connections, transaction

from apps.approvals import domain, services
from apps.approvals.domain import ConflictError, Decision, Outcome, State
from apps.approvals.models import ApprovalRequest
from apps.approvals.selectors import latest, requests_for, waiting_for
from apps.approvals.tasks import expire
from apps.changes.selectors import history
from apps.core import clock
from apps.identity.domain import Forbidden, Role, system
from apps.notify.selectors import notices_for
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN, Role.APPROVER, Role.COMPLIANCE, Role.DEVELOPER)


@pytest.fixture
def other() -> House:
    return house("Other", Role.APPROVER)


def ask(of: House, role: Role | None = Role.DEVELOPER, **fields: Any) -> ApprovalRequest:
    values: dict[str, Any] = {
        "subject_kind": "virtual_key", "subject_id": "key_1", "subject_name": "Key for Claims", "purpose": "triage",
    }  # fmt: skip
    return services.request_approval(actor=of.actor(role), **values | fields)


def decide(
    of: House, row: ApprovalRequest, role: Role | None = Role.APPROVER, word: str = "approve"
) -> ApprovalRequest:
    return services.decide(
        actor=of.actor(role), approval_id=row.pk, decision=Decision(word), reason="seen the plan"
    )


def overdue(row: ApprovalRequest) -> None:
    ApprovalRequest.objects.filter(pk=row.pk).update(expires_at=clock.now() - timedelta(seconds=1))


class TestAsking:
    def test_it_waits_and_those_who_decide_are_told(self, acme: House) -> None:
        row = ask(acme, limits={"budget_usd": "50"})
        assert (row.state, row.decided_by, row.limits) == (State.PENDING, None, {"budget_usd": "50"})
        assert row.expires_at - row.requested_at == timedelta(days=1)
        for role in (Role.APPROVER, Role.ADMIN):
            notice = notices_for(acme.actor(role)).get(event="approval.requested")
            assert notice.title == "Developer of Acme asks for Key for Claims"
            assert notice.data["approval_id"] == row.pk
        assert not notices_for(acme.actor(Role.COMPLIANCE)).exists()
        assert history(acme.id, row.pk)[0].verb == "approval.requested"

    def test_the_same_cannot_wait_twice(self, acme: House) -> None:
        row = ask(acme)
        with pytest.raises(ConflictError, match=row.pk):
            ask(acme, Role.COMPLIANCE)
        ask(acme, digest="another call")
        ask(acme, subject_id="key_2")
        decide(acme, row, word="deny")
        assert ask(acme).pk != row.pk

    def test_organisations_do_not_meet(self, acme: House, other: House) -> None:
        mine, theirs = ask(acme), ask(other, None)
        assert list(requests_for(acme.actor(Role.APPROVER))) == [mine]
        assert list(waiting_for(other.actor(Role.APPROVER))) == [theirs]
        with pytest.raises(ObjectDoesNotExist):
            decide(other, mine)

    def test_the_end_is_bounded(self, acme: House) -> None:
        for ends in (clock.now() - timedelta(seconds=1), clock.now() + timedelta(days=91)):
            with pytest.raises(ValidationError) as caught:
                ask(acme, expires_at=ends)
            assert "expires_at" in caught.value.message_dict

    def test_everybody_sees_their_own_and_the_queue_leaves_them_out(self, acme: House) -> None:
        mine = ask(acme, Role.APPROVER)
        theirs = ask(acme, None, subject_id="key_2")
        assert list(requests_for(acme.actor(None))) == [theirs]
        assert list(requests_for(acme.actor(Role.APPROVER))) == [theirs, mine]
        assert list(waiting_for(acme.actor(Role.APPROVER))) == [theirs]


class TestDeciding:
    @pytest.mark.parametrize(("word", "state"), [("approve", State.APPROVED), ("deny", State.DENIED)])
    def test_a_second_person_decides(self, acme: House, word: str, state: State) -> None:
        row = decide(acme, ask(acme), word=word)
        row.refresh_from_db()
        assert (row.state, row.reason) == (state, "seen the plan")
        assert row.decided_by == acme.person(Role.APPROVER).pk
        entry = history(acme.id, row.pk)[0]
        assert (entry.verb, entry.reason) == (f"approval.{state}", "seen the plan")
        assert (entry.before["state"], entry.after["state"]) == ("pending", state.value)
        assert notices_for(acme.actor(Role.DEVELOPER)).get(event=f"approval.{state}").text == "seen the plan"
        assert latest(acme.id, "virtual_key", "key_1") == row

    def test_nobody_decides_their_own(self, acme: House) -> None:
        row = ask(acme, Role.APPROVER)
        with pytest.raises(Forbidden, match="second person"):
            decide(acme, row)
        row.refresh_from_db()
        assert row.state == State.PENDING

    def test_the_database_holds_four_eyes_too(self, acme: House) -> None:
        row = ask(acme)
        rows = ApprovalRequest.objects.filter(pk=row.pk)
        with pytest.raises(IntegrityError, match="four_eyes"), transaction.atomic():
            rows.update(state="approved", decided_by=row.requested_by, decided_at=clock.now())
        with pytest.raises(IntegrityError, match="approvals_decided"), transaction.atomic():
            rows.update(state="approved")

    def test_it_needs_the_role_and_a_person(self, acme: House) -> None:
        row = ask(acme)
        with pytest.raises(Forbidden, match="approver or admin"):
            decide(acme, row, Role.COMPLIANCE)
        with pytest.raises(Forbidden, match="never the system"):
            services.decide(actor=system(acme.id), approval_id=row.pk, decision=Decision.APPROVE)

    def test_what_has_ended_stays(self, acme: House) -> None:
        row = decide(acme, ask(acme))
        with pytest.raises(ConflictError, match="Approver of Acme has approved this already"):
            decide(acme, row, Role.ADMIN, "deny")
        late = ask(acme)
        overdue(late)
        with pytest.raises(ConflictError, match="has expired"):
            decide(acme, late)

    def test_the_room_of_the_subject_hears_it_and_may_object(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[Outcome] = []
        monkeypatch.setattr(domain, "_listeners", {})
        domain.register("virtual_key", heard.append)
        row = decide(acme, ask(acme, limits={"n": 1}))
        assert [(outcome.id, outcome.state, outcome.limits) for outcome in heard] == [
            (row.pk, State.APPROVED, {"n": 1})
        ]

        def object_(_: Outcome) -> None:
            raise ValidationError("The team is closed.")

        domain.register("virtual_key", object_)
        second = ask(acme)
        with pytest.raises(ValidationError, match="closed"):
            decide(acme, second)
        second.refresh_from_db()
        assert second.state == State.PENDING


class TestExpiring:
    def test_what_is_due_ends_once(self, acme: House) -> None:
        due, later = ask(acme), ask(acme, subject_id="key_2")
        overdue(due)
        assert services.expire_due() == 1
        assert services.expire_due() == 0
        expire()
        due.refresh_from_db()
        later.refresh_from_db()
        assert (due.state, later.state) == (State.EXPIRED, State.PENDING)
        assert due.decided_by is None
        assert [entry.verb for entry in history(acme.id, due.pk)] == [
            "approval.expired",
            "approval.requested",
        ]
        assert history(acme.id, due.pk)[0].actor_kind == "system"
        assert notices_for(acme.actor(Role.DEVELOPER)).filter(event="approval.expired").count() == 1


def race(work: list[Any]) -> list[Any]:
    """Run some calls at once, each on a connection of its own; what came of each."""
    start, results = threading.Barrier(len(work)), [None] * len(work)

    def run(place: int) -> None:
        try:
            start.wait(30)
            results[place] = work[place]()
        except Exception as fault:  # noqa: BLE001 - the test looks at it
            results[place] = fault
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_of_two_who_decide_one_wins_and_the_other_is_told(self) -> None:
        acme = house("Acme", Role.ADMIN, Role.APPROVER, Role.DEVELOPER)
        for _ in range(5):
            row = ask(acme)
            results = race([
                lambda row=row: decide(acme, row, Role.APPROVER, "approve"),
                lambda row=row: decide(acme, row, Role.ADMIN, "deny"),
            ])  # fmt: skip
            won = [result for result in results if isinstance(result, ApprovalRequest)]
            lost = [result for result in results if isinstance(result, ConflictError)]
            assert (len(won), len(lost)) == (1, 1), results
            row.refresh_from_db()
            assert (row.state, row.decided_by) == (won[0].state, won[0].decided_by)
            assert won[0].decided_by_name in str(lost[0])
            assert history(acme.id, row.pk).count() == 2

    def test_of_two_who_ask_for_the_same_one_is_told(self) -> None:
        acme = house("Acme", Role.COMPLIANCE, Role.DEVELOPER)
        results = race([lambda: ask(acme), lambda: ask(acme, Role.COMPLIANCE)])
        assert sorted(type(result).__name__ for result in results) == ["ApprovalRequest", "ConflictError"]
        assert ApprovalRequest.objects.count() == 1

    def test_a_decision_and_the_clock_do_not_both_end_it(self) -> None:
        acme = house("Acme", Role.APPROVER, Role.DEVELOPER)
        for number in range(5):
            row = ask(acme, subject_id=f"key_{number}")
            overdue(row)
            race([lambda row=row: decide(acme, row), services.expire_due, services.expire_due])
            row.refresh_from_db()
            assert row.state == State.EXPIRED or services.expire_due() == 1
            assert history(acme.id, row.pk).count() == 2

# SPDX-License-Identifier: Apache-2.0
"""Deliveries: signed, claimed by one worker, tried again with growing pauses, given up visibly."""

import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from apps.changes.domain import Role
from apps.core import clock
from apps.notify import domain, services
from apps.notify.models import Delivery, Webhook
from apps.notify.services import delivery
from apps.notify.tasks import deliver
from tests.control import House, house
from tests.notify.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.OUTBOUND_ALLOW = ("127.0.0.0/8",)
    with receiving() as found:
        yield found


@pytest.fixture
def secret(acme: House, receiver: Receiver) -> str:
    return services.create_webhook(
        actor=acme.actor(Role.ADMIN), name="w", url=receiver.url + "?a=1", events=["*"]
    )[1]


def tell(of: House, key: str = "k") -> str:
    told = services.notify(
        "budget.crossed", of.id, title="Übrig: 20 %", text="t", dedupe_key=key, data={"percent": 80}
    )
    assert told is not None
    return told


def due() -> None:
    Delivery.objects.update(next_at=clock.now())


def test_a_delivery_is_signed_by_the_standard(acme: House, receiver: Receiver, secret: str) -> None:
    notice = tell(acme)
    assert services.deliver_due() == 1
    (call,) = receiver.calls
    assert call.path == "/hook?a=1"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["host"] == receiver.url.split("/")[2]
    assert call.headers["webhook-id"] == notice
    assert abs(int(call.headers["webhook-timestamp"]) - clock.now_ms() // 1000) < 600
    assert call.is_signed_with(secret)
    assert not call.is_signed_with(domain.new_secret())
    assert call.json["type"] == "budget.crossed"
    assert call.json["data"] == {"percent": 80, "title": "Übrig: 20 %", "text": "t", "link": ""}
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.status) == ("delivered", 1, 204)
    due()
    assert services.deliver_due() == 0


def test_the_signature_is_that_of_the_standard_s_own_example() -> None:
    # From the specification's reference libraries: standard-webhooks, test vectors.
    signed = domain.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_is_tried_again_with_growing_pauses_and_then_given_up(
    acme: House, receiver: Receiver, secret: str
) -> None:
    tell(acme)
    receiver.statuses = [500] * 20
    pauses = []
    for _ in range(domain.MOST_ATTEMPTS - 1):
        before = clock.now()
        assert services.deliver_due() == 1
        row = Delivery.objects.get()
        assert (row.state, row.status, row.fault) == ("waiting", 500, "The answer was 500.")
        pauses.append(row.next_at - before)
        assert services.deliver_due() == 0
        due()
    assert all(later > earlier * 2 for earlier, later in itertools.pairwise(pauses))
    services.deliver_due()
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("failed", domain.MOST_ATTEMPTS)
    assert row.finished_at is not None
    due()
    assert services.deliver_due() == 0
    assert len(receiver.calls) == domain.MOST_ATTEMPTS
    receiver.statuses.clear()
    services.retry_delivery(actor=acme.actor(Role.ADMIN), delivery_id=row.pk)
    services.deliver_due()
    assert Delivery.objects.get().state == "delivered"
    assert {call.headers["webhook-id"] for call in receiver.calls} == {row.notice_id}


def test_the_address_and_the_secret_stay_out_of_logs_and_reprs(
    acme: House, receiver: Receiver, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tell(acme)
    (parcel,) = delivery._claim(1)
    assert secret not in repr(parcel)
    Delivery.objects.update(next_at=clock.now())
    assert services.deliver_due() == 1
    assert receiver.calls
    assert "/hook" not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(acme: House, receiver: Receiver, secret: str, status: int) -> None:
    tell(acme)
    receiver.statuses = [status]
    receiver.headers = {"location": receiver.url.replace("/hook", "/elsewhere")}
    services.deliver_due()
    assert [call.path for call in receiver.calls] == ["/hook?a=1"]
    assert Delivery.objects.get().fault == f"The answer was {status}."


def test_gone_means_gone(acme: House, receiver: Receiver, secret: str) -> None:
    tell(acme)
    receiver.statuses = [410]
    services.deliver_due()
    assert Delivery.objects.get().state == "failed"


def test_a_silent_receiver_is_left_at_the_deadline_and_does_not_hold_others_up(
    acme: House, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SECONDS", 1.0)
    receiver.hold = threading.Event()
    with receiving() as quick:
        services.create_webhook(actor=acme.actor(Role.ADMIN), name="q", url=quick.url, events=["*"])
        tell(acme)
        assert services.deliver_due() == 2
        assert len(quick.calls) == 1
    slow = Delivery.objects.get(webhook__name="w")
    assert (slow.state, slow.status, slow.fault) == ("waiting", None, "There was no answer within 1 seconds.")
    assert Delivery.objects.get(webhook__name="q").state == "delivered"


def test_nothing_listens(acme: House, receiver: Receiver, settings: Any) -> None:
    services.create_webhook(actor=acme.actor(Role.ADMIN), name="n", url="http://127.0.0.1:1/", events=["*"])
    tell(acme)
    services.deliver_due()
    assert Delivery.objects.get().fault == "The call failed: ConnectError."


def test_the_address_is_checked_again_at_each_attempt(
    acme: House, receiver: Receiver, secret: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(acme)
    settings.OUTBOUND_ALLOW = ()
    services.deliver_due()
    assert "private address" in Delivery.objects.get().fault
    # A public name that leads to a private address: refused where it is resolved.
    Webhook.objects.update(url=receiver.url.replace("127.0.0.1", "hooks.example.com"))
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda *a, **k: [(2, 1, 6, "", ("127.0.0.1", int(receiver.url.split(":")[2][:-5])))],
    )
    due()
    services.deliver_due()
    assert "hooks.example.com is a private address" in Delivery.objects.get().fault
    assert receiver.calls == []


def test_it_goes_to_the_address_that_was_checked_under_the_name_that_was_typed(
    acme: House, receiver: Receiver, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, allow: Any) -> str:
        asked.append(host)
        return "127.0.0.1"

    Webhook.objects.update(url=receiver.url.replace("127.0.0.1", "hooks.example.com"))
    monkeypatch.setattr(delivery.net, "resolve_public", resolve)
    tell(acme)
    services.deliver_due()
    assert asked == ["hooks.example.com"]
    (call,) = receiver.calls
    assert call.headers["host"].startswith("hooks.example.com:")


def test_a_webhook_that_was_switched_off_meanwhile_gets_nothing(
    acme: House, receiver: Receiver, secret: str
) -> None:
    tell(acme)
    services.change_webhook(actor=acme.actor(Role.ADMIN), webhook_id=Webhook.objects.get().pk, enabled=False)
    deliver()
    assert receiver.calls == []
    assert Delivery.objects.get().fault == "The webhook is switched off."


def test_two_workers_do_not_send_the_same_delivery(acme: House, receiver: Receiver, secret: str) -> None:
    told = {tell(acme, f"k{number}") for number in range(20)}
    start = threading.Barrier(3)

    def work() -> None:
        try:
            start.wait(30)
            deliver()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for _ in range(10):
        # On a busy machine a call may have been given up and put off: it is due again now.
        Delivery.objects.update(next_at=clock.now())
        deliver()
    assert {call.headers["webhook-id"] for call in receiver.calls} == told
    assert len(receiver.calls) <= sum(Delivery.objects.values_list("attempts", flat=True))


def test_what_a_dead_worker_held_is_taken_up_again(acme: House, receiver: Receiver, secret: str) -> None:
    tell(acme)
    (parcel,) = delivery._claim(10)
    assert services.deliver_due() == 0
    Delivery.objects.update(next_at=clock.now() - timedelta(seconds=1))
    assert services.deliver_due() == 1
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("delivered", 2)
    # The first worker was only slow: its bad news come too late to matter.
    delivery._settle(parcel, delivery.Answer(status=500))
    assert Delivery.objects.get().state == "delivered"

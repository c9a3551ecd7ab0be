# SPDX-License-Identifier: Apache-2.0
"""Signing in: by e-mail address, with a fresh session, and slowly for those who guess."""

import base64
import threading
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import connections
from django.test import Client, RequestFactory

from apps.changes.selectors import changes
from apps.core import clock
from apps.identity import services, signin
from apps.identity.domain import Role, system
from apps.identity.models import Person, SignInFailure
from apps.identity.signin import LIMITS, WINDOW, AdminSignInForm, SignInForm
from tests.control import house

GOOD = "correct horse battery staple"
ADA = "ada@acme.example"
pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Person:
    acme = house("Acme", Role.ADMIN)
    return services.create_person(
        actor=system(acme.id), email=ADA, name="Ada", password=GOOD, roles=[Role.ADMIN], is_staff=True
    )


def attempt(
    password: str, email: str = ADA, address: str = "192.0.2.1", kind: type[SignInForm] = SignInForm
) -> str:
    """The sentence that the form says, nothing when it lets the person in."""
    request = RequestFactory().post("/signin", REMOTE_ADDR=address)
    form = kind(request, {"username": email, "password": password})
    return "" if form.is_valid() else " ".join(form.non_field_errors())


def test_the_admin_pages_are_opened_by_e_mail_address(ada: Person) -> None:
    client = Client()
    client.get("/admin/login/")
    answer = client.post(
        "/admin/login/", {"username": " Ada@ACME.example ", "password": GOOD, "next": "/admin/"}
    )
    assert (answer.status_code, answer["location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def test_people_who_are_not_staff_do_not_get_into_the_admin_pages(ada: Person) -> None:
    Person.objects.filter(pk=ada.pk).update(is_staff=False)
    assert attempt(GOOD) == ""
    assert "does not open the admin pages" in attempt(GOOD, kind=AdminSignInForm)


def test_signing_in_gives_the_session_a_new_id(ada: Person) -> None:
    client = Client()
    session = client.session
    session["planted"] = "yes"
    session.save()
    client.cookies["smartflow_session"] = before = str(session.session_key)
    client.post("/admin/login/", {"username": ADA, "password": GOOD})
    after = client.cookies["smartflow_session"].value
    assert after != before
    assert not Session.objects.filter(pk=before).exists()


def test_a_new_password_ends_sessions(ada: Person) -> None:
    client = Client()
    client.force_login(ada)
    assert client.get("/admin/").status_code == 200
    services.set_password(actor=ada.actor(), person_id=ada.pk, password=GOOD + " 2")
    assert client.get("/admin/").status_code == 302


def test_a_closed_account_loses_its_session(ada: Person) -> None:
    client = Client()
    client.force_login(ada)
    Person.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302
    assert "do not belong together" in attempt(GOOD)


def test_unknown_addresses_and_wrong_passwords_sound_the_same(ada: Person) -> None:
    assert attempt("wrong") == attempt("wrong", email="nobody@acme.example")


def test_guessing_is_locked_out_and_the_sentence_says_for_how_long(ada: Person) -> None:
    for _ in range(LIMITS["both"]):
        assert "do not belong together" in attempt("wrong")
    assert attempt(GOOD) == "Too many failed sign-ins. Try again in 15 minutes."
    # Somebody at another address is the account's owner, perhaps.
    assert attempt(GOOD, address="192.0.2.2") == ""


def test_the_lock_opens_by_itself(ada: Person) -> None:
    for _ in range(LIMITS["both"]):
        attempt("wrong")
    SignInFailure.objects.update(started_at=clock.now() - WINDOW - timedelta(seconds=1))
    assert attempt(GOOD) == ""


def test_success_clears_the_count(ada: Person) -> None:
    for _ in range(3):
        for _ in range(LIMITS["both"] - 1):
            attempt("wrong")
        assert attempt(GOOD) == ""


def test_many_addresses_against_one_account_and_one_address_against_many_are_counted(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "account", 3)
    for number in range(3):
        attempt("wrong", address=f"192.0.2.{number}")
    assert "Too many" in attempt(GOOD, address="192.0.2.99")
    SignInFailure.objects.all().delete()
    monkeypatch.setitem(LIMITS, "address", 3)
    for number in range(3):
        attempt("wrong", email=f"p{number}@acme.example")
    assert "Too many" in attempt(GOOD)


def change_password(client: Client, old: str, new: str = GOOD + " 2") -> str:
    """The page after asking for a new password; nothing when it was set."""
    fields = {"old_password": old, "new_password1": new, "new_password2": new}
    answer = client.post("/admin/password_change/", fields)
    return "" if answer.status_code == 302 else answer.content.decode()


def test_the_old_password_cannot_be_guessed_from_within_a_session(ada: Person) -> None:
    client = Client()
    client.force_login(ada)
    for _ in range(LIMITS["both"]):
        assert "Too many" not in change_password(client, "wrong")
    assert "Too many failed sign-ins" in change_password(client, GOOD)
    ada.refresh_from_db()
    assert ada.check_password(GOOD)


def test_a_person_changes_their_password_on_the_record_and_stays_signed_in(ada: Person) -> None:
    client, elsewhere = Client(), Client()
    client.force_login(ada)
    elsewhere.force_login(ada)
    assert change_password(client, GOOD) == ""
    assert client.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert attempt(GOOD + " 2") == ""
    assert changes(ada.organisation_id, verb="person.password_set", actor=ada.pk).count() == 1


def test_a_stranger_is_sent_to_sign_in_before_a_password_is_changed() -> None:
    assert Client().get("/admin/password_change/")["location"].startswith("/admin/login/")


@pytest.mark.parametrize(
    ("address", "status"), [("/api/providers", 401), ("/admin/", 302), ("/traces", 302), ("/", 302)]
)
def test_no_door_takes_a_password_in_a_header(ada: Person, address: str, status: int) -> None:
    credential = base64.b64encode(f"{ADA}:{GOOD}".encode()).decode()
    answer = Client().get(address, headers={"authorization": f"Basic {credential}"})
    assert answer.status_code == status


def test_old_counts_do_not_pile_up(ada: Person) -> None:
    SignInFailure.objects.bulk_create(
        SignInFailure(digest=str(number), tries=1, started_at=clock.now() - WINDOW * 2)
        for number in range(20)
    )
    attempt("wrong")
    assert SignInFailure.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_cannot_slip_past_the_count() -> None:
    looked: list[int] = []
    start = threading.Barrier(8)

    def guess() -> None:
        try:
            start.wait(30)
            with signin.one_try(ADA, "192.0.2.1"):
                looked.append(1)
                raise ZeroDivisionError
        except (ValidationError, ZeroDivisionError):
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(looked) == LIMITS["both"]

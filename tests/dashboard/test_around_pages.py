# SPDX-License-Identifier: Apache-2.0
"""Around the pages: signing in, the theme, faults, the system page, the admin's clothes."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from apps.audit.models import Shipped
from apps.core import clock, ids
from tests.dashboard.conftest import PASSWORD, AsRole, Bank, text_of


def test_signing_in_and_out(bank: Bank) -> None:
    client = Client()
    answer = client.post(
        "/signin", {"username": "ADMIN@alder.example ", "password": PASSWORD, "next": "/changes"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/changes")
    assert client.get("/changes").status_code == 200
    assert client.get("/signout").status_code == 405
    assert client.post("/signout")["Location"] == "/signin"
    assert client.get("/changes").status_code == 302


def test_a_wrong_password_is_said_beside_the_field(bank: Bank) -> None:
    response = Client().post("/signin", {"username": "admin@alder.example", "password": "wrong"})
    assert response.status_code == 401
    page = text_of(response)
    assert 'aria-describedby="fault"' in page
    assert "do not belong together" in page
    assert "wrong" not in re.findall(r'value="([^"]*)"', page)


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/\t/evil"],
)
def test_signing_in_never_leads_off_the_site(bank: Bank, wanted: str) -> None:
    answer = Client().post(
        "/signin", {"username": "admin@alder.example", "password": PASSWORD, "next": wanted}
    )
    assert answer["Location"] == "/"


def test_forms_need_their_token(bank: Bank) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/signin", {"username": "admin@alder.example", "password": PASSWORD})
    assert response.status_code == 403
    assert "This form is too old" in text_of(response)


def test_the_theme_is_rendered_by_the_server(as_role: AsRole) -> None:
    client = as_role("admin")
    assert "data-theme" not in text_of(client.get("/access")).partition(">")[0]
    assert client.post("/theme", {"theme": "dark", "next": "/access"})["Location"] == "/access"
    assert re.search(r'<html [^>]*data-theme="dark"', text_of(client.get("/access")))
    client.post("/theme", {"theme": '"><script>', "next": "//evil.example"})
    assert re.search(r'<html [^>]*data-theme="dark"', text_of(client.get("/access")))


def test_a_page_that_is_not_there(as_role: AsRole) -> None:
    response = as_role("admin").get("/nowhere")
    assert response.status_code == 404
    assert "urlpatterns" not in text_of(response)
    response = Client().get("/api/nowhere")
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_fault_gives_the_id_that_is_in_the_log(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    client = as_role("admin")
    client.raise_request_exception = False
    monkeypatch.setattr("apps.audit.selectors.page", broken)
    given = ids.new("req")
    response = client.get("/traces", headers={"x-request-id": given})
    assert response.status_code == 500
    assert response["x-request-id"] == given
    assert given in text_of(response)
    assert "secret detail" not in text_of(response)
    assert any(given in line.getMessage() for line in caplog.records)


def test_the_system_page_tells_when_redis_is_away(as_role: AsRole, monkeypatch: pytest.MonkeyPatch) -> None:
    client = as_role("engineer")
    assert "PostgreSQL" in text_of(client.get("/system"))

    def away() -> None:
        raise redis.ConnectionError

    monkeypatch.setattr("apps.dashboard.pages.system.client", away)
    page = text_of(client.get("/system"))
    assert "Down" in page
    assert "published anew" in page


@pytest.mark.parametrize(
    ("journal", "said", "state"),
    [
        ({}, "Every record is in PostgreSQL.", "Works"),
        ({"behind": 12_345}, "13 KB wait to be shipped to PostgreSQL.", "Works"),
        ({"set_aside": 2}, "2 lines could not be shipped and were set aside", "Degraded"),
        ({"behind": 5_000, "age": 60}, "No shipper has looked since", "Degraded"),
        ({"behind": 5_000, "age": 60, "finished": True}, "Every record is in PostgreSQL.", "Works"),
        ({"behind": 5_000, "age": 8 * 86_400}, "Every record is in PostgreSQL.", "Works"),
    ],
)
def test_the_system_page_tells_how_far_the_journals_are(
    as_role: AsRole, journal: dict[str, Any], said: str, state: str
) -> None:
    now = clock.now()
    Shipped.objects.create(
        lease=ids.new("ls"),
        behind=journal.get("behind", 0),
        set_aside=journal.get("set_aside", 0),
        seen_at=now - timedelta(seconds=journal.get("age", 0)),
        closed_at=now if journal.get("finished") else None,
    )
    page = text_of(as_role("engineer").get("/system"))
    row = page.partition('<th scope="row">Journals</th>')[2].partition("</tr>")[0]
    assert said in row
    assert state in row


def test_the_admin_wears_the_tokens_and_nothing_inline(as_role: AsRole) -> None:
    client = as_role("admin")
    for address in (reverse("admin:index"), reverse("admin:login")):
        page = text_of(client.get(address, follow=True))
        assert "tokens.css" in page
        assert "sf-admin" in page
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)(?![^>]*application/json)", page
        )
    assert finders.find("admin.css")


def test_every_icon_that_a_template_names_is_drawn() -> None:
    root = Path(__file__).resolve().parents[2]
    drawn = set(re.findall(r'symbol id="([\w-]+)"', (root / "static" / "icons.svg").read_text()))
    named = {
        name
        for template in (root / "templates").rglob("*.html")
        for name in re.findall(r'{% icon "([\w-]+)"', template.read_text())
    }
    assert named
    assert named <= drawn

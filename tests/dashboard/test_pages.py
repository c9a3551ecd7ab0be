# SPDX-License-Identifier: Apache-2.0
"""The pages through Django's client: who may open what, what is shown, and that nothing from outside is trusted."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.approvals.services import request_approval
from apps.audit.bodies import seal_body
from apps.changes.selectors import changes
from apps.core import clock, ids
from apps.core.django_ring import ring
from apps.identity.domain import Role
from apps.identity.services import actor_of
from smartflow_site.middleware import POLICY
from tests.dashboard.conftest import AsRole, Bank, Ship, make_bank, text_of
from tests.dashboard.records import day, quiet, record

READERS = {"admin", "compliance", "engineer", "auditor"}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("address", ["/", "/traces", "/access", "/system", "/changes", "/approvals", "/go"])
def test_strangers_are_sent_to_sign_in_and_back(db: None, address: str) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"] == f"/signin?next={address}"


@pytest.mark.parametrize(
    ("address", "roles"),
    [
        ("/traces", READERS),
        ("/changes", {"admin", "compliance", "auditor"}),
        ("/system", {"admin", "engineer"}),
        ("/access", {*Role, "nobody"}),
        ("/approvals", {*Role, "nobody"}),
    ],
)
def test_pages_open_for_their_roles_and_name_them_to_others(
    as_role: AsRole, address: str, roles: set[str]
) -> None:
    for role in ("nobody", *Role):
        response = as_role(role).get(address)
        assert response.status_code == (200 if role in roles else 403), role
        if role not in roles:
            assert "It opens for the roles: <strong" in text_of(response)
            assert "Administrator" in text_of(response)


def test_the_start_leads_readers_to_traces_and_others_to_their_access(as_role: AsRole) -> None:
    assert as_role("engineer").get("/")["Location"] == "/traces"
    assert as_role("developer").get("/")["Location"] == "/access"


def test_the_sidebar_holds_what_a_person_may_open(as_role: AsRole) -> None:
    entries = re.findall(r'data-go="(\w)"', text_of(as_role("developer").get("/access")))
    assert entries == ["m"]
    entries = re.findall(r'data-go="(\w)"', text_of(as_role("admin").get("/access")))
    assert entries == ["t", "a", "c", "s", "m"]


def test_every_page_is_strict(as_role: AsRole) -> None:
    client = as_role("admin")
    for address in ("/traces", "/access", "/system", "/changes", "/approvals", "/nowhere"):
        response = client.get(address)
        assert response["Content-Security-Policy"] == POLICY
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! src=)|javascript:", text_of(response))


def test_the_list_shows_one_row_per_exchange(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    records = day(bank.id, clock.now())
    ship(records)
    page = text_of(as_role("engineer").get("/traces"))
    assert page.count("data-row") == len(records)
    assert "<strong>20 exchanges</strong>" in page
    for word in ("Redacted", "Held", "Blocked", "Failed", "Refused", "Interrupted", "0.011718", "1,846"):
        assert word in page


def test_another_organisation_sees_nothing_of_it(bank: Bank, ship: Ship) -> None:
    ship([record(bank.id, clock.now())])
    other = make_bank("Birch Bank", "birch.example")
    client = Client()
    client.force_login(other.people["admin"])
    assert "No exchange yet" in text_of(client.get("/traces"))
    one = record(bank.id, clock.now() - timedelta(minutes=1), body_stored=True)
    ship([one])
    assert client.get(f"/traces/{one.id}").status_code == 404
    assert client.post(f"/traces/{one.id}/reveal", {"reason": "x"}).status_code == 404
    assert "Exchange by" not in text_of(client.get(f"/traces?open={one.id}"))


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("verdict=blocked", 1), ("caller=Dana+Whitfield", 2), ("team=Legal", 14), ("model=gpt-4o-mini", 1),
        ("status=502", 1), ("cache=exact", 1), ("status=abc", 20), ("verdict=nonsense", 20),
        ("verdict=blocked&team=Legal", 0), ("range=1h", 6), ("caller=%00", 20), ("cursor=rubbish", None),
    ],
)  # fmt: skip
def test_filters(bank: Bank, as_role: AsRole, ship: Ship, query: str, rows: int | None) -> None:
    ship(day(bank.id, clock.now()))
    response = as_role("auditor").get(f"/traces?{query}", follow=rows is None)
    assert response.status_code == 200
    assert text_of(response).count("data-row") == (20 if rows is None else rows)


def test_a_chip_leads_to_the_page_without_its_filter(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    ship(day(bank.id, clock.now()))
    page = text_of(as_role("admin").get("/traces?verdict=allowed&team=Legal&rows=compact"))
    assert 'href="?verdict=allowed&amp;rows=compact"' in page
    assert 'href="?team=Legal&amp;rows=compact"' in page
    assert 'data-density="compact"' in page


def test_pages_of_the_list_lead_there_and_back(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    now = clock.now()
    ship([quiet(bank.id, now - timedelta(seconds=place + 1)) for place in range(120)])
    client = as_role("admin")
    seen: list[str] = []
    address = "/traces"
    sizes = []
    while address:
        page = text_of(client.get(address))
        rows = re.findall(r'open=(req_\w+)[^"]*" data-row', page)
        seen += rows
        sizes.append(len(rows))
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = f"/traces{older[1].replace('&amp;', '&')}" if older else ""
    assert sizes == [50, 50, 20]
    assert len(set(seen)) == 120
    newer = re.search(r'href="([^"]+)" rel="prev"', page)
    assert newer is not None
    back = text_of(client.get(f"/traces{newer[1].replace('&amp;', '&')}"))
    assert re.findall(r'open=(req_\w+)[^"]*" data-row', back) == seen[50:100]


def test_three_kinds_of_empty(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    client = as_role("engineer")
    assert "curl http://testserver/v1/chat/completions" in text_of(client.get("/traces"))
    ship([quiet(bank.id, clock.now() - timedelta(hours=3))])
    page = text_of(client.get("/traces?range=1h"))
    assert "No exchanges, " in page
    assert "curl" not in page
    assert "Clear filters" in text_of(client.get("/traces?team=Nobody"))
    assert "It opens for the roles" in text_of(as_role("developer").get("/traces"))


def test_the_drawer_is_a_link(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    records = day(bank.id, clock.now())
    ship(records)
    page = text_of(as_role("engineer").get(f"/traces?open={records[4].id}"))
    assert '<dialog class="drawer" id="drawer" open' in page
    assert "Exchange by Lucía Ortega" in page
    assert f'href="?open={records[3].id}" data-key="["' in page
    assert f'href="?open={records[5].id}" data-key="]"' in page
    assert "2 card number" in page
    # An engineer reads what happened, not what was said.
    assert "Reveal and log" not in page


def test_what_came_from_outside_is_shown_as_text_of(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    names = (
        "person_name",
        "key_name",
        "team_name",
        "model",
        "target",
        "session_id",
        "user_agent",
        "error_code",
    )
    one = record(
        bank.id, clock.now() - timedelta(minutes=1), **dict.fromkeys(names, HOSTILE), tags=(HOSTILE,), groups=(HOSTILE,),
    )  # fmt: skip
    ship([one])
    client = as_role("admin")
    for address in (f"/traces?open={one.id}", f"/traces/{one.id}", f"/traces?caller={HOSTILE}"):
        page = text_of(client.get(address))
        assert HOSTILE not in page
        assert "&lt;img src=x" in page


def test_revealing_needs_a_role_and_a_reason_and_is_logged(bank: Bank, as_role: AsRole, ship: Ship) -> None:
    one = record(bank.id, clock.now() - timedelta(minutes=1), body_stored=True, person_id="per_dana")
    ship([one], [seal_body(ring(), one, HOSTILE.encode(), b"Guten Tag")])
    address = f"/traces/{one.id}/reveal"
    assert as_role("engineer").post(address, {"reason": "curious"}).status_code == 403
    client = as_role("compliance")
    assert client.get(address)["Location"] == f"/traces/{one.id}"
    refused = client.post(address, {"reason": "  "})
    assert refused.status_code == 422
    assert "Guten Tag" not in text_of(refused)
    assert changes(bank.id, subject=one.id).count() == 0
    shown = client.post(address, {"reason": "case 88213"})
    assert "Guten Tag" in text_of(shown)
    assert HOSTILE not in text_of(shown)
    assert "no-store" in shown["Cache-Control"]
    assert [(row.verb, row.reason) for row in changes(bank.id, subject=one.id)] == [
        ("revealed", "case 88213")
    ]


def test_the_list_asks_as_often_for_fifty_rows_as_for_one(
    bank: Bank, as_role: AsRole, ship: Ship, django_assert_max_num_queries: Any
) -> None:
    client = as_role("admin")
    now = clock.now()
    asked = []
    for first, last in ((1, 2), (2, 60)):
        ship([quiet(bank.id, now - timedelta(seconds=place)) for place in range(first, last)])
        with django_assert_max_num_queries(20) as found:
            client.get("/traces?range=1h")
        asked.append(
            len(
                [
                    query
                    for query in found
                    if "set_config" not in query["sql"]
                    and "current_setting" not in query["sql"]
                    and "SAVEPOINT" not in query["sql"]
                ]
            )
        )
    assert asked[0] == asked[1] <= 12


def test_going_to_an_id_a_page_or_a_caller(as_role: AsRole) -> None:
    client = as_role("admin")
    identifier = ids.new("req")
    assert client.get("/go", {"q": identifier})["Location"] == f"/traces/{identifier}"
    assert client.get("/go", {"q": "appro"})["Location"] == "/approvals"
    assert client.get("/go", {"q": "Dana W"})["Location"] == "/traces?caller=Dana+W&range=30d"
    assert client.get("/go").status_code == 200


def test_an_approval_needs_a_second_person_and_a_denial_a_reason(bank: Bank, as_role: AsRole) -> None:
    asked = request_approval(
        actor=actor_of(bank.people["admin"]), subject_kind="key", subject_id="key_x", subject_name=HOSTILE,
        purpose="campaign", limits={"dollars": 150},
    )  # fmt: skip
    own = as_role("admin").get(f"/approvals/{asked.pk}")
    assert "A second person must decide" in text_of(own)
    assert 'name="decision"' not in text_of(own)
    approver = as_role("approver")
    page = text_of(approver.get("/approvals"))
    assert "1 request</strong> waits" in page
    assert HOSTILE not in page
    assert "<dt>Dollars</dt><dd>150</dd>" in page
    address = f"/approvals/{asked.pk}/decide"
    assert approver.post(address, {"decision": "deny"}).status_code == 422
    assert as_role("developer").post(address, {"decision": "approve"}).status_code == 302
    asked.refresh_from_db()
    assert asked.state == "pending"
    approver.post(address, {"decision": "deny", "reason": "no budget"})
    asked.refresh_from_db()
    assert (asked.state, asked.reason) == ("denied", "no budget")
    again = approver.post(address, {"decision": "approve"}, follow=True)
    assert "has denied this already" in text_of(again)


def test_the_change_log_shows_both_sides(bank: Bank, as_role: AsRole) -> None:
    from apps.identity.services import change_organisation_settings

    change_organisation_settings(
        actor=actor_of(bank.people["admin"]), organisation_id=bank.id, name="Alder & Co"
    )
    client = as_role("auditor")
    page = text_of(client.get("/changes"))
    assert "name: Alder Bank" in page
    assert "name: Alder &amp; Co" in page
    # What is new has no before, and what it has not is not listed.
    assert "name: nothing" not in page
    assert "department" not in page
    narrowed = text_of(client.get(f"/changes?subject={bank.id}"))
    assert "created" in narrowed
    assert "Developer Berger" not in narrowed

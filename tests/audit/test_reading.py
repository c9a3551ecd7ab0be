# SPDX-License-Identifier: Apache-2.0
"""Finding records, reading a body for a reason, and seeing nothing of anybody else's."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from psycopg.types.json import Jsonb

from apps.audit import selectors, services
from apps.audit.bodies import open_body, seal_body
from apps.audit.domain import Record, Verdict
from apps.audit.models import Reveal
from apps.audit.selectors import CursorError, RecordFilters
from apps.changes.domain import Forbidden
from apps.changes.selectors import history
from apps.core import clock, ids
from apps.core.django_ring import ring
from apps.core.keyring import KeyRingError
from apps.core.tenancy import EVERYONE
from apps.identity.services import actor_of
from tests.conftest import Stores

Connection = psycopg.Connection[Any]
Make = Callable[..., Record]
NOTHING = RecordFilters()


def some(make_record: Make, organisation_id: str, number: int, **fields: Any) -> list[Record]:
    """Records of one organisation, a second apart, the newest first."""
    now = clock.now_ms()
    return [
        make_record(id=ids.at("req", now - 1000 * index), organisation_id=organisation_id, **fields)
        for index in range(number)
    ]


@pytest.mark.parametrize("table", ["audit_record", "audit_body"])
def test_without_where_one_organisation_is_seen(
    database: Connection, stores: Stores, make_record: Make, ship: Callable[..., None], table: str
) -> None:
    """On the partitions too; without a setting nothing at all; and nobody writes for somebody else."""
    mine, theirs = make_record(organisation_id="org_a"), make_record(organisation_id="org_b")
    ship([mine, theirs], [seal_body(ring(), mine, b"p", b"a"), seal_body(ring(), theirs, b"p", b"a")])
    day = f"{table}_{ids.moment(mine.id):%Y%m%d}"
    with psycopg.connect(stores.database_url, autocommit=True) as connection:
        for name in (table, day):
            assert connection.execute(f"SELECT id FROM {name}").fetchall() == []
        connection.execute("SELECT set_config('smartflow.organisation', 'org_a', false)")
        for name in (table, day):
            assert connection.execute(f"SELECT id FROM {name}").fetchall() == [(mine.id,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(mine, %s)).* FROM {table} AS mine",
                [Jsonb({"organisation_id": "org_b"})],
            )
        assert connection.execute(
            "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchall() == [(False,)]


def test_pages_go_back_and_forth_over_the_same_records(
    make_record: Make, ship: Callable[..., None], db: None
) -> None:
    records = some(make_record, "org_a", 25)
    ship(records)
    wanted = [record.id for record in records]
    first = selectors.page("org_a", filters=NOTHING, limit=10)
    second = selectors.page("org_a", filters=NOTHING, cursor=first.older, limit=10)
    third = selectors.page("org_a", filters=NOTHING, cursor=second.older, limit=10)
    assert [record.id for page in (first, second, third) for record in page.records] == wanted
    assert (first.newer, third.older) == ("", "")
    back = selectors.page("org_a", filters=NOTHING, cursor=third.newer, limit=10)
    assert [record.id for record in back.records] == wanted[10:20]
    top = selectors.page("org_a", filters=NOTHING, cursor=back.newer, limit=10)
    assert [record.id for record in top.records] == wanted[:10]
    assert top.newer == ""
    ship(some(make_record, "org_a", 1))
    assert [
        record.id for record in selectors.page("org_a", filters=NOTHING, cursor=first.older, limit=10).records
    ] == wanted[10:20]


@pytest.mark.parametrize("cursor", ["x", "bm9wZQ", "é", "b3JlcV8w", "o" * 90])
def test_a_cursor_that_is_not_ours_is_said_to_be_none(cursor: str, db: None) -> None:
    with pytest.raises(CursorError):
        selectors.page("org_a", filters=NOTHING, cursor=cursor)


@pytest.mark.parametrize(
    ("fields", "filters"),
    [
        ({"model": "large"}, {"model": "large"}),
        ({"person_name": "Björk Ødegård"}, {"person": "ødeg"}),
        ({"person_id": "per_bo"}, {"person": "per_bo"}),
        ({"key_name": "nightly job"}, {"key": "nightly"}),
        ({"key_name": "nightly job"}, {"caller": "NIGHT"}),
        ({"person_name": "Bo"}, {"caller": "Bo"}),
        ({"team_name": "Risk"}, {"team": "risk"}),
        ({"verdict": Verdict.BLOCKED}, {"verdict": "blocked"}),
        ({"status": 429}, {"status": 429}),
        ({"cache_hit": "exact"}, {"cache": "exact"}),
        ({"target": "frankfurt"}, {"target": "frank"}),
        ({"session_id": "chat-7"}, {"session": "chat-7"}),
        ({"error_code": "budget_exceeded"}, {"q": "budget_ex"}),
        ({"person_name": "100%_sure"}, {"q": "100%_s"}),
    ],
)
def test_each_filter_finds_what_it_names(
    make_record: Make, ship: Callable[..., None], db: None, fields: dict[str, Any], filters: dict[str, Any]
) -> None:
    wanted = make_record(**fields)
    ship([*some(make_record, "org_a", 3), wanted])
    found = selectors.page("org_a", filters=RecordFilters(**filters))
    assert [record.id for record in found.records] == [wanted.id]
    assert found.records[0].person_name == wanted.person_name


def test_a_range_and_an_id_narrow_too(make_record: Make, ship: Callable[..., None], db: None) -> None:
    records = some(make_record, "org_a", 5)
    ship(records)
    end = ids.moment(records[1].id)
    found = selectors.page("org_a", filters=RecordFilters(start=end - timedelta(seconds=2), end=end)).records
    assert [record.id for record in found] == [records[2].id, records[3].id]
    found = selectors.page("org_a", filters=RecordFilters(q=records[4].id)).records
    assert [record.id for record in found] == [records[4].id]


def test_the_histogram_counts_every_record_in_its_stretch(
    make_record: Make, ship: Callable[..., None], db: None
) -> None:
    records = some(make_record, "org_a", 10)
    records[0].verdict = records[9].verdict = Verdict.BLOCKED
    ship([*records, *some(make_record, "org_b", 3)])
    end = ids.moment(records[0].id) + timedelta(milliseconds=1)
    range_ = RecordFilters(start=end - timedelta(seconds=10), end=end)
    bars = selectors.histogram("org_a", range_, 10)
    assert [bar.total for bar in bars] == [1] * 10
    assert [bar.acted for bar in bars] == [1, *[0] * 8, 1]
    assert bars[0].start == range_.start
    assert selectors.histogram("org_a", NOTHING) == []


def test_selectors_stay_in_their_organisation(make_record: Make, ship: Callable[..., None], db: None) -> None:
    mine, theirs = make_record(organisation_id="org_a"), make_record(organisation_id="org_b", model="theirs")
    ship([mine, theirs])
    assert selectors.get("org_a", theirs.id) is None
    assert selectors.get("org_b", theirs.id) is not None
    assert {one.id for one in selectors.page(EVERYONE, filters=NOTHING).records} == {mine.id, theirs.id}
    assert selectors.choices("org_a", "model") == ["small"]
    assert selectors.charges("org_a", [mine.id, theirs.id]) == {mine.id: 1234}
    assert selectors.any_record("org_b")
    assert not selectors.any_record("org_c")
    assert selectors.total("org_a").records == 1


def test_a_body_opens_only_where_it_was_sealed(make_record: Make) -> None:
    record, other = make_record(), make_record()
    body = seal_body(ring(), record, "Grüße".encode(), b"answer")
    assert open_body(ring(), body) == ("Grüße".encode(), b"answer")
    assert b"answer" not in body.answer
    for change in (
        {"id": other.id},
        {"organisation_id": "org_b"},
        {"subject": "per_bo"},
        {"prompt": body.answer, "answer": body.prompt},
    ):
        with pytest.raises(KeyRingError):
            open_body(ring(), msgspec.structs.replace(body, **change))


def test_a_reveal_shows_the_body_and_is_written_down(
    alder: Any, make_record: Make, ship: Callable[..., None]
) -> None:
    record = make_record(organisation_id=alder.id, body_stored=True)
    ship([record], [seal_body(ring(), record, b"What is it?", b"It is.")])
    actor = actor_of(alder.people["auditor"])
    found = services.reveal(actor=actor, record_id=record.id, reason="  Case 7 ")
    assert (found.stored, found.prompt, found.answer) == (True, "What is it?", "It is.")
    row = Reveal.objects.get()
    assert (row.actor_id, row.reason, row.record_id, row.had_body) == (actor.id, "Case 7", record.id, True)
    [change] = history(alder.id, record.id)
    assert (change.verb, change.reason, change.actor_name) == ("revealed", "Case 7", "Auditor Berger")
    assert "It is." not in str(change.after)
    with pytest.raises(TypeError):
        row.delete()


def test_a_body_moved_to_another_record_is_not_shown(
    alder: Any, make_record: Make, ship: Callable[..., None]
) -> None:
    record, other = make_record(organisation_id=alder.id), make_record(organisation_id=alder.id)
    body = seal_body(ring(), record, b"secret", b"secret")
    ship([record, other], [msgspec.structs.replace(body, id=other.id)])
    found = services.reveal(actor=actor_of(alder.people["admin"]), record_id=other.id, reason="x")
    assert (found.stored, found.prompt, found.answer) == (True, "", "")
    assert "belongs elsewhere" in found.fault


@pytest.mark.parametrize("role", ["nobody", "engineer", "developer", "approver"])
def test_other_roles_reveal_nothing(
    alder: Any, make_record: Make, ship: Callable[..., None], role: str
) -> None:
    record = make_record(organisation_id=alder.id)
    ship([record])
    with pytest.raises(Forbidden, match="compliance or auditor or admin"):
        services.reveal(actor=actor_of(alder.people[role]), record_id=record.id, reason="x")
    assert not Reveal.objects.exists()


def test_a_reveal_needs_a_reason_and_a_record_of_ones_own(
    alder: Any, birch: Any, make_record: Make, ship: Callable[..., None]
) -> None:
    record = make_record(organisation_id=alder.id)
    ship([record])
    with pytest.raises(ValidationError):
        services.reveal(actor=actor_of(alder.people["admin"]), record_id=record.id, reason=" \n")
    with pytest.raises(ValidationError):
        services.reveal(actor=actor_of(alder.people["admin"]), record_id=record.id, reason="x" * 1001)
    with pytest.raises(ObjectDoesNotExist):
        services.reveal(actor=actor_of(birch.people["admin"]), record_id=record.id, reason="x")
    assert not Reveal.objects.exists()


def test_the_list_over_the_api(alder: Any, birch: Any, make_record: Make, ship: Callable[..., None]) -> None:
    records = some(make_record, alder.id, 5)
    ship([*records, *some(make_record, birch.id, 2)])
    client = alder.client("engineer")
    first = client.get("/api/records?limit=2&model=small")
    assert first.status_code == 200
    assert [row["id"] for row in first.json()["results"]] == [records[0].id, records[1].id]
    row = first.json()["results"][0]
    assert (row["cost"], row["charged"], row["verdict"]) == ("0.0012335", 1234, "allowed")
    assert first.json()["previous"] is None
    second = client.get(first.json()["next"])
    assert [row["id"] for row in second.json()["results"]] == [records[2].id, records[3].id]
    assert "model=small" in first.json()["next"]
    start = ids.moment(records[2].id).isoformat().replace("+", "%2B")
    assert len(client.get(f"/api/records/?from={start}").json()["results"]) == 3


@pytest.mark.parametrize(
    "query", ["from=yesterday", "status=abc", "verdict=nice", "cursor=zzz", "limit=0", "limit=9999", "q=%00"]
)
def test_what_cannot_be_asked_is_a_400_by_field(alder: Any, query: str) -> None:
    answer = alder.client("auditor").get(f"/api/records?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


def test_one_record_over_the_api(
    alder: Any, birch: Any, make_record: Make, ship: Callable[..., None]
) -> None:
    record = make_record(organisation_id=alder.id)
    ship([record])
    found = alder.client("compliance").get(f"/api/records/{record.id}").json()
    assert found["stages"][1] == {"name": "send", "began_us": 5, "took_us": 700}
    assert (found["overhead_us"], found["tags"]) == (200, [])
    assert birch.client("compliance").get(f"/api/records/{record.id}").status_code == 404
    assert alder.client("compliance").get("/api/records/req_1").status_code == 404
    for role, status in {"nobody": 403, "developer": 403, "approver": 403, "admin": 200}.items():
        assert alder.client(role).get(f"/api/records/{record.id}").status_code == status


def test_a_reveal_over_the_api(
    alder: Any, birch: Any, client: Any, make_record: Make, ship: Callable[..., None]
) -> None:
    record, bare = make_record(organisation_id=alder.id), make_record(organisation_id=alder.id)
    ship([record, bare], [seal_body(ring(), record, b"<b>prompt</b>", b"answer")])
    address = f"/api/records/{record.id}/reveal"
    assert client.post(address, {"reason": "x"}).status_code == 401
    assert alder.client("engineer").post(address, {"reason": "x"}).status_code == 403
    assert birch.client("admin").post(address, {"reason": "x"}).status_code == 404
    assert alder.client("admin").post(address, {}).status_code == 400
    assert alder.client("admin").post(address, {"reason": "x", "also": 1}).status_code == 400
    found = alder.client("compliance").post(address, {"reason": "case 7"}).json()
    assert (found["stored"], found["prompt"], found["answer"]) == (True, "<b>prompt</b>", "answer")
    found = alder.client("compliance").post(f"/api/records/{bare.id}/reveal/", {"reason": "case 7"}).json()
    assert (found["stored"], found["prompt"]) == (False, "")
    assert found["detail"].startswith("No body was stored")
    assert Reveal.objects.count() == 2


def test_an_interrupted_record_is_written_once(database: Connection, make_record: Make, db: None) -> None:
    record = make_record(state="open", charged=0)
    services.close_interrupted([record])
    services.close_interrupted([record])
    found = selectors.get("org_a", record.id)
    assert found is not None
    assert (found.state, found.charged, found.usage_source) == ("interrupted", 5000, "unknown")
    assert selectors.spent("org_a", "bgt_a", clock.from_ms(0)) == 5000
    assert selectors.total("org_a").charged == 0

# SPDX-License-Identifier: Apache-2.0
"""One approval across processes: two control servers, one worker, and the other side of a webhook."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.identity.domain import Role
from apps.identity.services import issue_token
from smartflow_site.env import ROOT
from tests.conftest import Stores
from tests.control import House, house
from tests.notify.receiver import Receiver, receiving

PATIENCE = 120
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


@contextmanager
def role(
    name: str, stores: Stores, log: Path, *words: str, **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """One role in a process of its own, on the stores of the test."""
    environment = {
        **os.environ,
        **stores.environment(),
        # Not the settings of the tests, which pytest leaves in the environment: they would choose other stores.
        "DJANGO_SETTINGS_MODULE": "smartflow_site.settings",
        "SMARTFLOW_OUTBOUND_ALLOW": "127.0.0.0/8",
        "SMARTFLOW_DRAIN_WAIT_S": "0",
        **settings,
    }
    argv = [sys.executable, "manage.py", "serve", "--role", name, *words]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], Any], what: str, *logs: Path) -> Any:
    """What `done` returns once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := done()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen; {' '.join(log.read_text()[-3000:] for log in logs)}")
        time.sleep(0.1)
    return found


def answers(url: str) -> bool:
    """Whether a server is up: a stranger is turned away."""
    try:
        return httpx.get(f"{url}/api/me", timeout=10).status_code == 401
    except httpx.HTTPError:
        return False


@contextmanager
def servers(stores: Stores, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two control servers."""
    ports, logs = (free_port(), free_port()), (tmp_path / "one.log", tmp_path / "two.log")
    with (
        role("control", stores, logs[0], SMARTFLOW_PORT=str(ports[0])),
        role("control", stores, logs[1], SMARTFLOW_PORT=str(ports[1])),
    ):
        urls = (f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        for url, log in zip(urls, logs, strict=True):
            until(lambda url=url: answers(url), f"{url} answering", log)
        yield urls


def token(of: House, whose: Role | None) -> httpx.Auth:
    """The person's own token, as every request carries it."""
    _row, secret = issue_token(actor=of.actor(whose), person_id=of.person(whose).pk, name="flow")

    class Bearer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            request.headers["authorization"] = f"Bearer {secret}"
            yield request

    return Bearer()


def test_request_refused_self_approval_second_person_webhook(
    stores: Stores, redis_url: str, tmp_path: Path
) -> None:
    acme, other = house("Acme", Role.ADMIN, Role.APPROVER, Role.AUDITOR), house("Other", Role.APPROVER)
    with receiving() as receiver, servers(stores, tmp_path) as (one, two):
        first = httpx.Client(base_url=one, auth=token(acme, Role.ADMIN), timeout=60)
        second = httpx.Client(base_url=two, auth=token(acme, Role.APPROVER), timeout=60)
        stranger = httpx.Client(base_url=two, auth=token(other, Role.APPROVER), timeout=60)
        auditor = httpx.Client(base_url=one, auth=token(acme, Role.AUDITOR), timeout=60)
        with first, second, stranger, auditor:
            secret = webhook(first, receiver)
            asked = first.post(
                "/api/approvals",
                json={"subject_kind": "virtual_key", "subject_id": "key_1", "subject_name": "Key for Claims"},
            )
            assert asked.status_code == 201, asked.text
            decide = f"/api/approvals/{asked.json()['id']}/decide"

            own = first.post(decide, json={"decision": "approve"})
            assert own.status_code == 403
            assert own.json()["detail"] == "You asked for this yourself. A second person must decide."
            assert stranger.post(decide, json={"decision": "approve"}).status_code == 404

            said = second.post(decide, json={"decision": "approve", "reason": "seen the plan"})
            assert said.status_code == 200, said.text
            assert second.post(decide, json={"decision": "deny"}).status_code == 409
            assert first.get(f"/api/approvals/{asked.json()['id']}").json()["state"] == "approved"

            log = tmp_path / "worker.log"
            with role("worker", stores, log, "--with-beat"):
                until(lambda: len(receiver.calls) >= 2, "the delivery of two webhooks", log)
            check_deliveries(receiver, secret, asked.json()["id"], acme)
            check_log(auditor, asked.json()["id"], acme)
            titles = [row["title"] for row in first.get("/api/notices").json()["results"]]
            assert "Key for Claims was approved by Approver of Acme" in titles
            assert stranger.get("/api/notices").json()["results"] == []


def webhook(client: httpx.Client, receiver: Receiver) -> str:
    """A webhook for approvals; its secret."""
    made = client.post("/api/webhooks", json={"name": "flow", "url": receiver.url, "events": ["approval.*"]})
    assert made.status_code == 201, made.text
    return str(made.json()["secret"])


def check_deliveries(receiver: Receiver, secret: str, approval: str, acme: House) -> None:
    """Each event came once, signed, and says who did what."""
    calls = {call.json["type"]: call for call in receiver.calls}
    assert sorted(calls) == ["approval.approved", "approval.requested"]
    assert len(receiver.calls) == 2
    assert all(call.is_signed_with(secret) for call in receiver.calls)
    assert all(call.json["organisation_id"] == acme.id for call in receiver.calls)
    decided = calls["approval.approved"].json["data"]
    assert (decided["approval_id"], decided["state"]) == (approval, "approved")
    assert decided["decided_by"] == acme.person(Role.APPROVER).pk
    assert decided["requested_by"] == acme.person(Role.ADMIN).pk


def check_log(auditor: httpx.Client, approval: str, acme: House) -> None:
    """The change log has both edits and none of the refused ones."""
    entries = auditor.get("/api/changes", params={"subject": approval}).json()["results"]
    assert [(entry["verb"], entry["actor_id"]) for entry in entries] == [
        ("approval.approved", acme.person(Role.APPROVER).pk),
        ("approval.requested", acme.person(Role.ADMIN).pk),
    ]
    assert {entry["actor_kind"] for entry in entries} == {"token"}

# SPDX-License-Identifier: Apache-2.0
"""A control process on a port of its own, people and records in its database, and Chromium in front of it."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.test import override_settings

from apps.approvals.services import request_approval
from apps.audit.bodies import seal_body
from apps.audit.domain import Record
from apps.core import clock
from apps.core.django_ring import ring
from apps.identity.services import actor_of
from smartflow_site import settings
from smartflow_site.process import free_port
from tests.conftest import Stores
from tests.dashboard.conftest import PASSWORD, bring, make_bank
from tests.dashboard.records import day
from tests.settings import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

# Without the group of packages for browser tests there is nothing to collect here.
collect_ignore_glob = [] if importlib.util.find_spec("playwright") else ["test_*.py"]
ARTEFACTS = ROOT / "artefacts" / "screens"
CHROMIUM = os.environ.get("SMARTFLOW_TEST_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip
FONTS = Path(__file__).with_name("fonts.conf")
PATIENCE = 60.0


@dataclass(frozen=True)
class Site:
    """The running system; `records` are newest first."""

    url: str
    organisation_id: str
    records: list[Record]
    database_url: str


@pytest.fixture(scope="session")
def site(stores: Stores, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`manage.py serve --role control` on the test's own stores, with a day of exchanges."""
    # The server hashes as in production; the hasher of the other tests is none it would accept.
    with django_db_blocker.unblock(), override_settings(PASSWORD_HASHERS=settings.PASSWORD_HASHERS):
        bank = make_bank("Alder Bank", "alder.example")
        for name, purpose in (
            ("Key, $150 a month", "Campaign texts"),
            ("Publish “Legal privilege” v2", "Review of 12 Nov"),
        ):
            request_approval(
                actor=actor_of(bank.people["developer"]), subject_kind="key", subject_id=f"key_{len(name)}",
                subject_name=name, purpose=purpose, limits={"dollars_a_month": 150, "models": ["gpt-4o-mini"]},
            )  # fmt: skip
    records = day(bank.id, clock.now())
    prompt = b'{"messages": [{"role": "user", "content": "Summarise the claim <b>CL-88213</b>"}]}'
    bring(
        stores.database_url,
        records,
        [seal_body(ring(), records[0], prompt, b"The claim was paid on 3 November.")],
    )
    port = free_port()
    environment = {
        **os.environ, **stores.environment(), "SMARTFLOW_PORT": str(port), "SERVICE_TYPE": "control",
        "SMARTFLOW_LOCAL_MODEL": "off", "DJANGO_SETTINGS_MODULE": "smartflow_site.settings",
    }  # fmt: skip
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run(
        [*manage, "collectstatic", "--no-input", "--verbosity=0"], check=True, env=environment, cwd=ROOT
    )
    log = tmp_path_factory.mktemp("site") / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*manage, "serve", "--role", "control"], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/signin", process, log)
        yield Site(url, bank.id, records, stores.database_url)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def chromium(site: Site) -> "Iterator[Browser]":
    """One browser for all tests; started after the database work, which cannot be done beside its event loop."""
    # Only here: the packages of this group are not there when the other tests are collected.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, env={**os.environ, "FONTCONFIG_FILE": str(FONTS)}
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: "Browser", site: Site) -> "Iterator[BrowserContext]":
    """A fresh profile, 1440 wide."""
    found = chromium.new_context(
        base_url=site.url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    found.set_default_timeout(15_000)
    yield found
    found.close()


@pytest.fixture
def page(context: "BrowserContext") -> "Iterator[Page]":
    """A tab; what its console says in red, and every violation of the content policy, fails the test."""
    opened = context.new_page()
    said = watch(opened)
    yield opened
    assert said == []


def watch(page: "Page") -> list[str]:
    """The list into which the page's errors go."""
    said: list[str] = []

    def hear(message: "ConsoleMessage") -> None:
        # A page that is rightly refused (404, 422) is named in the console as well; a missing part of a page is not right.
        refused = "status of 4" in message.text and "/static/" not in message.location["url"]
        if message.type in {"error", "warning"} and not refused:
            said.append(message.text)

    def lost(request: "Request") -> None:
        # What was still loading when the page was left counts for nothing.
        if request.failure != "net::ERR_ABORTED":
            said.append(f"{request.url}: {request.failure}")

    page.on("console", hear)
    page.on("pageerror", lambda fault: said.append(str(fault)))
    page.on("requestfailed", lost)
    return said


@pytest.fixture
def sign_in(page: "Page") -> "Callable[[str], Page]":
    """Sign the person of a role in; the page is where that leads."""

    def signed_in(role: str) -> "Page":
        page.goto("/signin")
        page.get_by_label("E-mail").fill(f"{role}@alder.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/signin" not in url)
        return page

    return signed_in


@pytest.fixture(scope="session")
def screens() -> Path:
    """The folder that screenshots go to; git leaves it alone."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the control process does not answer; it said: {log.read_text()}")

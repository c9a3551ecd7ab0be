# SPDX-License-Identifier: Apache-2.0
"""People at work: by keyboard, with a live list, in the theme they chose, and with scripts switched off."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.core import clock
from tests.dashboard.conftest import PASSWORD, bring
from tests.dashboard.records import quiet
from tests.e2e.conftest import Site, watch

pytestmark = pytest.mark.e2e
SignIn = Callable[[str], Page]


def test_the_whole_way_by_keyboard(page: Page, site: Site) -> None:
    page.goto("/traces")
    assert "/signin?next=/traces" in page.url
    page.keyboard.type("compliance@alder.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/traces")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**open={site.records[1].id}**")
    expect(page.locator("#drawer")).to_contain_text("The cache answered")
    page.keyboard.press("[")
    page.wait_for_url(f"**open={site.records[0].id}**")
    expect(page.locator("#drawer")).to_contain_text("2 values were redacted")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(page.locator("#goto-t-q")).to_be_focused()
    page.keyboard.type("approvals")
    page.keyboard.press("Enter")
    page.wait_for_url("**/approvals")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/traces")


def test_single_letters_can_be_switched_off(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.keyboard.press("?")
    page.get_by_label("Single letters work as keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).not_to_be_visible()


def test_a_value_becomes_a_filter_and_leaves_again(sign_in: SignIn) -> None:
    page = sign_in("engineer")
    page.get_by_role("cell", name="Blocked").get_by_role("link").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_role("link", name="Remove the filter Verdict").click()
    expect(page.get_by_role("link", name="Remove the filter")).to_have_count(0)
    page.locator("#filter > summary").click()
    page.get_by_label("Team").fill("Legal")
    page.get_by_role("button", name="Filter the list").click()
    expect(page.locator("[data-row]")).to_have_count(14)


def test_revealing_asks_for_a_reason(sign_in: SignIn, site: Site) -> None:
    page = sign_in("compliance")
    page.goto(f"/traces?open={site.records[0].id}")
    button = page.get_by_role("button", name="Reveal and log")
    button.click()
    expect(page.locator("#prompt")).to_have_count(0)
    page.get_by_label("Reason for revealing").fill("case 88213")
    button.click()
    expect(page.locator("#prompt")).to_contain_text("<b>CL-88213</b>")
    expect(page.locator("#prompt b")).to_have_count(0)
    page.goto("/changes?verb=revealed")
    expect(page.get_by_text("case 88213").first).to_be_visible()


def test_the_chosen_theme_stays_and_is_the_admin_s_too(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    answer = page.request.get("/access")
    assert 'data-theme="dark"' in answer.text()
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/access")
    page.get_by_role("button", name="Switch theme").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_live_list_grows_by_itself(sign_in: SignIn, site: Site) -> None:
    # Older than the newest rows, which other tests walk through.
    moment = clock.now() - timedelta(minutes=40)
    page = sign_in("engineer")
    page.goto("/traces?caller=Live+Larsen&range=1h")
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()
    bring(site.database_url, [quiet(site.organisation_id, moment, person_name="Live Larsen", team_name="")])
    page.goto("/traces?caller=Live+Larsen&range=1h&live=1")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.evaluate("window.stayed = true")
    bring(site.database_url, [quiet(site.organisation_id, moment, person_name="Live Larsen", team_name="")])
    expect(page.locator("[data-row]")).to_have_count(2)
    expect(page.locator("#said")).to_contain_text("2 exchanges")
    assert page.evaluate("window.stayed") is True


def test_an_approver_decides(sign_in: SignIn) -> None:
    page = sign_in("approver")
    page.get_by_role("link", name="Approvals").first.click()
    expect(page.get_by_text("2 requests")).to_be_visible()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("Write why")).to_be_visible()
    page.get_by_label("Reason").fill("no budget this month")
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_contain_text("is denied")
    expect(page.get_by_text("1 request")).to_be_visible()


def test_everything_works_without_scripts(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    said = watch(page)
    page.goto("/traces")
    page.get_by_label("E-mail").fill("auditor@alder.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Dana Whitfield").first.click()
    expect(page.locator("#drawer")).to_be_visible()
    page.get_by_label("Reason for revealing").fill("audit 7")
    page.get_by_role("button", name="Reveal and log").click()
    expect(page.locator("#answer")).to_contain_text("3 November")
    page.get_by_role("button", name="Switch theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("link", name="Go to…").click()
    expect(page.get_by_role("heading", name="Go to")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    assert page.url.endswith("/signin")
    context.close()
    assert said == []

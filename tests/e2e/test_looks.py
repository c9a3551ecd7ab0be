# SPDX-License-Identifier: Apache-2.0
"""Every page at three widths in both themes: no barrier, no violation, nothing cut off; the screenshots are kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.axe import violations
from tests.e2e.conftest import Site

pytestmark = pytest.mark.e2e
WIDTHS = {1440: 900, 768: 1024, 375: 812}
PAGES = {
    "traces": "/traces",
    "drawer": "/traces?open={id}",
    "trace": "/traces/{id}",
    "empty": "/traces?team=Nobody",
    "first-steps": "/access",
    "approvals": "/approvals",
    "changes": "/changes",
    "system": "/system",
    "go": "/go",
    "missing": "/nowhere",
}
ADMIN = {
    "admin": "/admin/",
    "admin-list": "/admin/identity/person/",
    "admin-form": "/admin/identity/team/add/",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_have_no_barriers(
    sign_in: Callable[[str], Page], site: Site, screens: Path, width: int, theme: str
) -> None:
    page = sign_in("admin")
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    found = {}
    for name, address in PAGES.items():
        response = page.goto(address.format(id=site.records[0].id))
        assert response is not None
        assert response.status == (404 if name == "missing" else 200), name
        page.screenshot(path=screens / f"{name}-{width}-{theme}.png")
        found[name] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sign_in_page_has_no_barriers(page: Page, screens: Path, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto("/signin?next=/approvals")
    page.screenshot(path=screens / f"signin-1440-{theme}.png")
    assert violations(page) == []
    page.get_by_text("Approvals").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens_has_no_barriers(sign_in: Callable[[str], Page], screens: Path, theme: str) -> None:
    page = sign_in("admin")
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.goto("/traces")
    for name, opener in {"goto": "Control+k", "keys": "?", "filter": "/"}.items():
        page.keyboard.press(opener)
        page.screenshot(path=screens / f"{name}-1440-{theme}.png")
        assert violations(page) == [], name
        page.keyboard.press("Escape")
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto("/traces")
    page.get_by_role("button", name="Menu", exact=True).click()
    page.screenshot(path=screens / f"menu-375-{theme}.png")
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_admin_wears_the_same_clothes(sign_in: Callable[[str], Page], screens: Path, theme: str) -> None:
    page = sign_in("admin")
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for name, address in ADMIN.items():
        response = page.goto(address)
        assert response is not None
        assert response.status == 200
        page.screenshot(path=screens / f"{name}-1440-{theme}.png")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(14, 19, 23)" if theme == "dark" else "rgb(245, 247, 248)")

# SPDX-License-Identifier: Apache-2.0
"""axe-core in a page, as the content policy stands: the script comes through the debugger, not through the page."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Rule, element and reason of every violation of WCAG 2.2 AA."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("rules => axe.run({runOnly: rules}).then(result => result.violations)", RULES)
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]

# SPDX-License-Identifier: Apache-2.0
"""The degradation table is whole, and each cell names a test there is or what it waits for."""

import ast
import re

import pytest

from smartflow_site.env import ROOT
from tests.contracts import sources

PAGE = (ROOT / "docs" / "reference" / "degradation.md").read_text(encoding="utf-8")
STORES = ("PostgreSQL down", "Redis down", "Archive down", "Embedder down", "Journal cannot be written")
PARTS = ("key", "budget", "policy", "cache", "record", "readiness")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def cells() -> dict[tuple[str, str], tuple[str, str]]:
    """(store, part) -> (what happens, held by)."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        store = section.partition("\n")[0]
        for line in section.splitlines():
            columns = [cell.strip() for cell in line.strip("|").split("|")]
            if len(columns) == 3 and columns[0] in PARTS:
                found[store, columns[0]] = (columns[1], columns[2])
    return found


def defined_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_no_cell_is_missing() -> None:
    assert set(cells()) == {(store, part) for store in STORES for part in PARTS}


@pytest.mark.parametrize(("store", "part"), [(store, part) for store in STORES for part in PARTS])
def test_a_cell_says_what_happens_and_who_holds_it(store: str, part: str) -> None:
    happens, held = cells()[store, part]

    assert happens
    assert held.startswith("waits for ") or _TEST.search(held)


@pytest.mark.parametrize(("path", "name"), sorted(set(_TEST.findall(PAGE))))
def test_a_named_test_is_there(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    assert name in defined_in(path)


def records() -> list[str]:
    return sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("name", records())
def test_a_decision_record_is_whole_and_names_what_holds_it(name: str) -> None:
    text = (ROOT / "docs" / "adr" / name).read_text(encoding="utf-8")
    held = text.partition("## Held by")[2]
    lines = [line for line in held.splitlines() if line.startswith("- ")]

    assert all(f"## {part}" in text for part in ("Context", "Decision", "Consequences", "Held by"))
    assert lines
    for line in lines:
        paths = re.findall(r"`(tests/[\w/.]+)`", line)
        assert paths or line.startswith("- waits for ")
        for path in paths:
            assert list((ROOT / path).rglob("test_*.py")) or (ROOT / path).is_file(), path


def test_every_decision_record_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")

    assert [name for name in records() if f"({name})" not in index] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page}: {link}"
        for page in sources.files(".md")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", sources.text(page))
        if not (ROOT / page.parent / link).exists()
    ]
    assert broken == []

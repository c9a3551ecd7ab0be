# SPDX-License-Identifier: Apache-2.0
"""The compatibility page says what the run found."""

from tests.matrix.page import FEATURES, Results, rendered


def row_of(page: str, client: str, feature: str) -> list[str]:
    part = page.partition(f"## `{client}` ")[2].partition("\n## ")[0]
    line = next(line for line in part.splitlines() if line.startswith(f"| {feature} |"))
    return [word.strip() for word in line.strip("|").split("|")][1:]


def test_a_cell_is_yes_only_where_both_forms_passed() -> None:
    results: Results = {
        ("text", "openai", "openai"): {"json": True, "stream": True},
        ("text", "openai", "anthropic"): {"json": True, "stream": False},
        ("text", "openai", "gemini"): {"json": False, "stream": False},
    }

    assert row_of(rendered(results), "openai", "text") == ["yes", "no (stream)", "no"]


def test_what_cannot_be_done_names_its_field_and_what_was_not_run_says_so() -> None:
    refused: Results = {("n", "openai", "anthropic"): {"json": True, "stream": True}}

    assert row_of(rendered(refused), "openai", "n") == ["not run", "400 `n`", "not run"]
    assert row_of(rendered(refused), "anthropic", "n") == ["n/a", "n/a", "n/a"]


def test_a_refusal_that_failed_is_no() -> None:
    failed: Results = {("n", "openai", "anthropic"): {"json": False, "stream": True}}

    assert row_of(rendered(failed), "openai", "n")[1] == "no (json)"


def test_every_feature_has_a_row_for_every_client() -> None:
    page = rendered({})

    assert all(page.count(f"\n| {feature} |") == 3 for feature in FEATURES)

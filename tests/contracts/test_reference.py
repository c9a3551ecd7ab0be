# SPDX-License-Identifier: Apache-2.0
"""The reference pages say what the code does."""

import pytest

from apps.core.errors import TABLE
from tests.contracts import reference


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_the_code_says(name: str) -> None:
    written = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), "write it again: make reference"


@pytest.mark.parametrize("code", TABLE)
def test_every_error_says_what_happened_and_what_to_do(code: str) -> None:
    row = TABLE[code]
    assert 400 <= row.status < 600
    for sentence in (row.meaning, row.remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")

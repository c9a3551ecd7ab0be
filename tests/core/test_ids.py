# SPDX-License-Identifier: Apache-2.0
"""Ids say their kind, carry their moment and sort by it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import ids

MOMENTS = st.integers(min_value=0, max_value=2**48 - 1)


@given(MOMENTS, st.sampled_from(sorted(ids.KINDS)))
def test_an_id_carries_its_kind_and_moment(milliseconds: int, kind: str) -> None:
    made = ids.at(kind, milliseconds)

    assert ids.is_id(kind, made)
    assert ids.milliseconds(made) == milliseconds
    assert len(made) <= 40


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_moment(one: int, other: int) -> None:
    first, second = sorted((one, other))

    if first < second:
        assert ids.at("req", first) < ids.at("req", second)
    assert ids.smallest("req", first) <= ids.at("req", first)


def test_the_form_is_a_uuid_of_version_7() -> None:
    digits = ids.new("req").removeprefix("req_")

    assert (len(digits), digits[12], digits[16] in "89ab") == (32, "7", True)


def test_moments_are_aware_and_utc() -> None:
    assert ids.moment(ids.at("req", 1_700_000_000_123)) == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)


@pytest.mark.parametrize("text", ["", "req_", "req_" + "0" * 32, "REQ_0190", "x" * 36, "req_018f\n"])
def test_other_text_is_no_id(text: str) -> None:
    assert not ids.is_id("req", text)
    with pytest.raises(ValueError, match="not an id"):
        ids.milliseconds(text)


def test_many_ids_are_all_different() -> None:
    assert len({ids.at("req", 1) for _ in range(10_000)}) == 10_000

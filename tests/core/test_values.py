# SPDX-License-Identifier: Apache-2.0
"""Stored values: readers accept their version and the one before it, and refuse the future."""

from decimal import Decimal

import pytest

from apps.core import values
from apps.core.values import ShapeError, Value
from apps.keys.domain import Absent, Key
from apps.providers.domain import Model, Rates


class Third(Value, frozen=True, kw_only=True):
    v: int = 3
    name: str = ""


@pytest.mark.parametrize(("version", "readable"), [(1, False), (2, True), (3, True), (4, False)])
def test_two_versions_are_read(version: int, readable: bool) -> None:
    raw = b'{"v":%d,"name":"a","new":1}' % version

    if readable:
        assert values.decode(Third, raw).name == "a"
    else:
        with pytest.raises(ShapeError):
            values.decode(Third, raw)


def test_what_is_written_carries_its_version_and_is_read_again() -> None:
    model = Model(
        id="mdl_1", organisation_id="org_1", name="m", rates=Rates(version="1", input=Decimal("0.15"))
    )
    raw = values.encode(model)

    assert b'"v":2' in raw
    assert values.decode(Model, raw) == model


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"v":1}', b'{"v":1,"name":7}'])
def test_a_fault_names_the_type_and_never_the_value(raw: bytes) -> None:
    with pytest.raises(ShapeError, match=r"^Key: "):
        values.decode(Key, raw + b"")


def test_an_absent_key_is_not_a_key() -> None:
    with pytest.raises(ShapeError):
        values.decode(Key, values.encode(Absent(digest="d")))

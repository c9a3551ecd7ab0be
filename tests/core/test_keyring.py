# SPDX-License-Identifier: Apache-2.0
"""The key ring: purposes apart, old keys readable, nothing shown, sealed values bound to their place."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import keyring
from apps.core.keyring import KeyRingError, Purpose

RING = keyring.fresh()


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_sealed_value_opens_where_it_was_sealed(plain: bytes, place: str) -> None:
    sealed = RING.seal(Purpose.BODY, plain, place)

    assert RING.open(Purpose.BODY, sealed, place) == plain
    for purpose, where in ((Purpose.FIELD, place), (Purpose.BODY, place + "x")):
        with pytest.raises(KeyRingError):
            RING.open(purpose, sealed, where)


@given(st.integers(min_value=0, max_value=7), st.data())
def test_a_changed_value_does_not_open(bit: int, data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(Purpose.FIELD, b"secret", "prv_1"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << bit

    with pytest.raises(KeyRingError):
        RING.open(Purpose.FIELD, bytes(sealed), "prv_1")


@pytest.mark.parametrize("purpose", Purpose)
def test_a_rotation_makes_new_values_with_the_new_key_and_reads_old_ones(purpose: Purpose) -> None:
    newer = RING.rotated(purpose)
    old = RING.seal(Purpose.FIELD, b"kept", "prv_1")

    assert newer.open(Purpose.FIELD, old, "prv_1") == b"kept"
    assert (newer.digest("sk-sf-x") != RING.digest("sk-sf-x")) == (purpose is Purpose.DIGEST)
    assert RING.digest("sk-sf-x") in newer.digests("sk-sf-x")


def test_signatures_name_their_key_and_outlive_a_rotation() -> None:
    number, signature = RING.signature(b"payload")
    newer = RING.rotated(Purpose.SIGN)

    assert newer.signature(b"payload", number) == (number, signature)
    assert newer.signature(b"payload")[0] == number + 1


def test_nothing_is_shown() -> None:
    text = RING.to_json()
    secrets = [part for part in text.split('"') if len(part) == 44]

    assert len(secrets) == len(Purpose)
    assert not any(secret in repr(RING) for secret in secrets)


def test_a_ring_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "keyring.json"
    first, second = keyring.load("", path), keyring.load("", path)

    assert first.digest("x") == second.digest("x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyring.load(RING.to_json(), path).digest("x") == RING.digest("x")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v":2,"keys":[]}', '{"v":1,"keys":[]}', "\x00"])
def test_a_ring_that_is_none_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        keyring.from_json(text)
    assert len(str(caught.value)) < 100

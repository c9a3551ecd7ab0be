# SPDX-License-Identifier: Apache-2.0
"""The key of a stored answer: everything an answer may depend on, and nothing that only says how it is delivered."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.cache import domain, stage
from apps.cache.domain import Stored
from apps.core import values
from apps.gateway.surfaces import openai

TEXT = st.text(max_size=12)
FIELDS = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=5,
)
SCOPE = {
    "dialect": "openai",
    "organisation_id": "org_a",
    "reader": "team_a",
    "model_id": "mdl_a",
    "bundle": "b",
}


def digest(fields: dict[str, Any], **more: str) -> str:
    return stage.digest(fields, openai.SURFACE.delivery(), **(SCOPE | more))


PARTS = st.fixed_dictionaries(
    {
        "dialect": TEXT,
        "organisation_id": TEXT,
        "reader": TEXT,
        "model_id": TEXT,
        "bundle": TEXT,
        "rewritten": st.binary(max_size=12),
    }
)


@given(PARTS, PARTS)
def test_two_scopes_share_a_key_only_if_they_are_equal(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (domain.exact_digest(**one) == domain.exact_digest(**two)) == (one == two)


def test_what_stands_at_the_seam_of_two_parts_matters() -> None:
    assert digest({}, reader="ab", model_id="c") != digest({}, reader="a", model_id="bc")


@given(FIELDS, FIELDS)
def test_two_questions_share_a_key_only_if_they_are_equal(one: dict[str, Any], two: dict[str, Any]) -> None:
    def asked(fields: dict[str, Any]) -> bytes:
        return msgspec.json.encode(
            {
                k: v
                for k, v in fields.items()
                if k not in {"stream", "stream_options", "user", "metadata", "store", "model"}
            },
            order="sorted",
        )

    assert (digest(one) == digest(two)) == (asked(one) == asked(two))


@given(FIELDS)
def test_the_order_of_fields_and_their_delivery_do_not_matter(fields: dict[str, Any]) -> None:
    turned = dict(reversed(fields.items()))

    assert digest(turned | {"stream": True, "stream_options": {}, "model": "x"}) == digest(
        {k: v for k, v in fields.items() if k not in {"stream", "stream_options", "model"}}
    )


@pytest.mark.parametrize(
    ("fields", "mode", "eligible"),
    [
        ({}, "", True),
        ({"temperature": 0}, "", True),
        ({"temperature": 0.1}, "", False),
        ({"temperature": 0.1}, "exact", True),
        ({"temperature": 0.1}, "only", True),
        ({}, "skip", False),
        ({"n": 1}, "", True),
        ({"n": 2}, "exact", False),
        ({"tools": [{}]}, "exact", False),
        ({"functions": [{}]}, "exact", False),
        ({"tools": []}, "", True),
        ({"logprobs": True}, "exact", False),
        ({"modalities": ["audio"]}, "exact", False),
    ],
)
def test_which_questions_may_be_answered_from_the_store(
    fields: dict[str, Any], mode: str, eligible: bool
) -> None:
    assert openai.SURFACE.cacheable(fields, mode) is eligible


def stored(**more: Any) -> Stored:
    fixed: dict[str, Any] = {
        "model": "plain",
        "target": "t",
        "bundle": "b",
        "reader": "r",
        "input_tokens": 1,
        "output_tokens": 2,
        "stored_ms": 3,
    }
    return Stored(**(fixed | {"body": msgspec.Raw(b'{"a": 1}'), "cost": Decimal("0.00001")} | more))


def test_a_stored_answer_comes_back_as_it_was() -> None:
    found = stage.lookup(values.encode(stored()))

    assert found is not None
    assert (bytes(found.body), found.cost) == (b'{"a": 1}', Decimal("0.00001"))


@pytest.mark.parametrize("raw", [None, b"", b"{}", b"nonsense", b'{"v": 99}', values.encode(stored(v=9))])
def test_what_cannot_be_read_is_no_answer(raw: bytes | None) -> None:
    assert stage.lookup(raw) is None

# SPDX-License-Identifier: Apache-2.0
"""What each detector kind finds, and what it leaves alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.policies.domain import Detector
from apps.policies.kinds import KINDS, UnknownKindError, WrongParamsError, base, finders, pii, schema
from apps.policies.text import Text

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())


def found(entity: str, raw: str) -> list[str]:
    text = Text(raw)
    finder = pii.ENTITIES[pii.Entity(entity)]
    return [raw[slice(*text.raw_span(*span))] for span in finder.find(text)]


@pytest.mark.parametrize(
    ("entity", "raw", "value"),
    [(e, r, v) for e, _, r, v in CASES["found"]],
    ids=[c[1] for c in CASES["found"]],
)
def test_finds_exactly_the_value(entity: str, raw: str, value: str) -> None:
    assert found(entity, raw) == [value]


@pytest.mark.parametrize(
    ("entity", "raw"), [(e, r) for e, _, r in CASES["clean"]], ids=[c[1] for c in CASES["clean"]]
)
def test_leaves_look_alikes_alone(entity: str, raw: str) -> None:
    assert found(entity, raw) == []


def test_finds_each_of_several_values() -> None:
    raw = "4111111111111111, 5555 5555 5555 4444 and 378282246310005; a@b.io;c@d.io"
    assert found("CREDIT_CARD", raw) == ["4111111111111111", "5555 5555 5555 4444", "378282246310005"]
    assert found("EMAIL", raw) == ["a@b.io", "c@d.io"]


@pytest.mark.parametrize("case", list(CASES["found"]), ids=lambda case: case[1])
def test_no_match_is_longer_than_promised(case: list[str]) -> None:
    finder = pii.ENTITIES[pii.Entity(case[0])]
    assert all(end - start <= finder.longest for start, end in finder.find(Text(case[2])))


@pytest.mark.parametrize(
    "flood", ["4111111111111111 " * 6000, "4 1 1 1 1 1 1 1 " * 30_000, "1" * 400_000, "4444 " * 80_000]
)
def test_dense_digits_end_in_an_answer_or_a_clean_refusal(flood: str) -> None:
    try:
        spans = pii.ENTITIES[pii.Entity.CREDIT_CARD].find(Text(flood))
    except base.TooDenseError:
        return
    assert len(spans) <= base.MOST_CANDIDATES


def test_a_flood_of_addresses_is_refused_not_searched() -> None:
    with pytest.raises(base.TooDenseError):
        pii.ENTITIES[pii.Entity.EMAIL].find(Text("a@b.io " * (base.MOST_CANDIDATES + 1)))


def test_policies_share_the_finders_of_an_entity() -> None:
    one = finders(Detector(kind="pii", params={"entities": ["EMAIL"]}))
    both = finders(Detector(kind="pii", params={"entities": ["EMAIL", "CREDIT_CARD", "EMAIL"]}))
    assert one[0] in both
    assert len(both) == 2


def test_every_entity_has_a_finder_with_a_tag_that_fits_into_json() -> None:
    assert set(pii.ENTITIES) == set(pii.Entity)
    for entity, finder in pii.ENTITIES.items():
        assert finder.type == entity.value
        assert finder.type.replace("_", "").isalnum()
        assert finder.said.startswith(("a ", "an "))


def test_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownKindError, match="'palmistry'; there are: " + ", ".join(KINDS)):
        finders(Detector(kind="palmistry"))


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        ("pii", {}, ""),
        ("pii", {"entities": []}, "entities"),
        ("pii", {"entities": ["SHOE_SIZE"]}, "entities"),
        ("pii", {"entities": ["EMAIL"], "extra": 1}, ""),
        ("dummy", {"delay_ms": 60_000}, "delay_ms"),
        ("dummy", {"literal": "naïve"}, "literal"),
    ],
)
def test_wrong_params_name_the_field(kind: str, params: dict[str, object], field: str) -> None:
    with pytest.raises(WrongParamsError) as caught:
        finders(Detector(kind=kind, params=params))
    assert caught.value.field == field
    assert caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_schema_for_its_form(kind: str) -> None:
    described = schema(kind)
    assert described["type"] == "object"
    assert all("description" in field for field in described["properties"].values())


def test_schema_of_pii_lists_the_entities() -> None:
    described = schema("pii")
    reference = described["properties"]["entities"]["items"]["$ref"].rpartition("/")[2]
    assert described["$defs"][reference]["enum"] == ["CREDIT_CARD", "EMAIL"]


def test_the_hot_path_reaches_neither_django_nor_the_backtracking_of_an_admin() -> None:
    code = "import apps.policies.stage, sys; print([m for m in sys.modules if m.split('.')[0] in ('django', 'rest_framework', 'celery', 'channels', 'numpy')])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

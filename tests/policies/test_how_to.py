# SPDX-License-Identifier: Apache-2.0
"""The page on adding a detector kind: its code works as it says."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from apps.policies import kinds
from apps.policies.domain import Action, Detector
from apps.policies.engine import Bundle
from apps.policies.forms import field_of
from tests.policies.build import ANN, assistant, policy

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-detector-kind.md"


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kind of the page, with its row."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    module = ModuleType("words_of_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "words": module})
    return module


def test_the_kind_of_the_page_finds_and_streams(words: ModuleType) -> None:
    detector = Detector(kind="words", params={"word": "Bluebird"})
    bundle = Bundle.of([policy("Secret", detector, action=Action.REDACT)])
    text = "BLUEBIRD flies, blu\u200bebird sings, bluebirds do not; bluebird"
    wanted = "[WORD] flies, [WORD] sings, bluebirds do not; [WORD]"
    assert bundle.review(ANN, assistant(text)).texts == (wanted,)
    stream = bundle.stream(ANN)
    assert stream is not None
    assert (
        "".join(stream.feed("0:content", character) for character in text) + stream.flush("0:content")
        == wanted
    )


def test_the_kind_of_the_page_has_a_form_and_names_wrong_fields(words: ModuleType) -> None:
    described = kinds.schema("words")
    assert (
        field_of("word", described["properties"]["word"], described["$defs"]).help_text == "The word to find"
    )
    with pytest.raises(kinds.WrongParamsError) as fault:
        kinds.finders(Detector(kind="words", params={"word": "a b"}))
    assert fault.value.field == "word"


def test_every_file_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:apps|tests)/[\w/.]+\.(?:py|json))`", PAGE.read_text()))
    assert len(named) > 6
    assert [path for path in named if not (PAGE.parents[2] / path).exists()] == [
        "apps/policies/kinds/words.py"
    ]

# SPDX-License-Identifier: Apache-2.0
"""Reviews of streams: the same output however a text is cut, nothing forbidden before the verdict, little held."""

import itertools
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.policies.domain import Action, Policy, Segment
from apps.policies.engine import Bundle
from apps.policies.kinds.pii import ENTITIES
from apps.policies.stream import StreamReview
from tests.policies.build import ANN, BOTH, CARD, CARDS, EMAILS, assistant, dummy, policy

MASK = policy("Mask", BOTH, action=Action.REDACT)
PIECES = [
    "4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444", "4111\u200b111111111111", "\uff14111111111111111",
    "4444 4444 4444 4444 ", "4111111111111111@example.com", "ada@example.com", "a.b+c@mail.example.co.uk", "x@y@z.org", "@", ".", "-",
    " ", "  ", "\n", "a", "word ", "12", "0", "9 9 9 9", "\u200b", "\u00e9", "\u8bf7", "[EMAIL]", '"', "\\", "\\n", "\\u00e9", "ban", "banana", "anan",
    "a" * 80, "1 " * 20, "DE12 4547 3373 6105 5781 00",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=14).map("".join)
RULES = [
    [MASK],
    [policy("Cards", CARDS, action=Action.REDACT), policy("Watch", EMAILS, action=Action.LOG)],
    [policy("Cards", CARDS, action=Action.REDACT), policy("Mails", EMAILS, action=Action.BLOCK)],
    [policy("Words", dummy("banana"), dummy("nan"), action=Action.REDACT), MASK],
    [policy("Watch", BOTH, action=Action.LOG)],
    [policy("Stop", BOTH, action=Action.BLOCK)],
]


def streamed(bundle: Bundle, deltas: list[str], channel: str = "0:content") -> tuple[str, StreamReview]:
    stream = bundle.stream(ANN)
    assert stream is not None
    out = "".join([stream.feed(channel, delta) for delta in deltas])
    return out + stream.flush(channel), stream


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=400)
@given(
    text=TEXTS,
    places=st.lists(st.integers(0, 2000), max_size=30),
    rules=st.sampled_from(RULES),
    tool=st.booleans(),
)
@example(text="x@y@z.org", places=[1, 2, 3, 4, 5, 6, 7], rules=[MASK], tool=False)
@example(text='{"a":"\\n4111111111111111"}', places=list(range(25)), rules=[MASK], tool=True)
def test_any_cut_gives_the_output_of_the_whole(
    text: str, places: list[int], rules: list[Policy], tool: bool
) -> None:
    channel, role = ("0:tool:0", "tool_call") if tool else ("0:content", "assistant")
    bundle = Bundle.of(rules)
    whole, _ = streamed(bundle, [text], channel)
    in_pieces, stream = streamed(bundle, cut(text, places), channel)
    by_character, _ = streamed(bundle, list(text), channel)
    assert in_pieces == whole == by_character
    verdict = bundle.review(ANN, [Segment(role, text)])
    assert stream.verdict().action is verdict.action
    if verdict.action is Action.BLOCK:
        assert stream.blocked is not None
        assert text.startswith(whole) or verdict.texts is None
    else:
        assert whole == (verdict.texts[0] if verdict.texts else text)


@settings(max_examples=300)
@given(
    text=TEXTS,
    places=st.lists(st.integers(0, 2000), max_size=30),
    action=st.sampled_from([Action.REDACT, Action.BLOCK]),
)
def test_nothing_that_is_found_leaves(text: str, places: list[int], action: Action) -> None:
    bundle = Bundle.of([policy("Rule", BOTH, action=action)])
    stream = bundle.stream(ANN)
    assert stream is not None
    out = ""
    marked = text
    # Every finding becomes private characters, so that a look for leaks cannot be fooled by equal text elsewhere.
    from apps.policies.text import Text

    folded = Text(text)
    spans = [folded.raw_span(*span) for finder in ENTITIES.values() for span in finder.find(folded)]
    allowed = "".join(" " if any(a <= i < b for a, b in spans) else c for i, c in enumerate(marked))
    for delta in cut(text, places):
        out += stream.feed("0:content", delta)
    out += stream.flush("0:content")
    for start, end in spans:
        value = text[start:end]
        for at in range(len(value) - 5):
            if value[at : at + 6] not in allowed:
                assert value[at : at + 6] not in out.replace("[CREDIT_CARD]", " ").replace("[EMAIL]", " ")


def test_a_block_lets_out_what_came_before_and_nothing_after() -> None:
    out, stream = streamed(Bundle.of([policy("Stop", CARDS)]), list(f"Your card is {CARD} and more text"))
    assert out == "Your card is "
    assert stream.blocked is not None
    assert stream.blocked.reason.startswith('"Stop" stopped this: the answer holds a card number.')
    assert stream.verdict() is stream.blocked
    assert stream.feed("0:content", "x") == stream.feed("1:content", "x") == ""


def test_a_block_is_known_as_soon_as_the_number_ends() -> None:
    stream = Bundle.of([policy("Stop", CARDS)]).stream(ANN)
    assert stream is not None
    stream.feed("0:content", CARD)
    assert stream.blocked is None
    stream.feed("0:content", ".")
    assert stream.blocked is None
    stream.feed("0:content", "\n")
    assert stream.blocked is not None


def test_a_block_inside_something_replaced_still_blocks() -> None:
    bundle = Bundle.of(
        [policy("Mails", EMAILS, action=Action.REDACT), policy("Cards", CARDS, action=Action.BLOCK)]
    )
    _, stream = streamed(bundle, list("to ann.4111111111111111@example.com now"))
    assert stream.blocked is not None


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Hello, how are you? ", 0),
        ("the answer is", 2),
        ("in 2024", 4),
        ("call 555 1234 ", 9),
        ("pi 3.14\n", 0),
        ("ada@exam", 8),
        ("a" * 500, 64),
    ],
)
def test_only_what_may_become_a_finding_is_held(text: str, held: int) -> None:
    stream = Bundle.of([MASK]).stream(ANN)
    assert stream is not None
    out = stream.feed("0:content", text)
    assert stream.held == held == len(text) - len(out)


@settings(max_examples=100)
@given(text=TEXTS, places=st.lists(st.integers(0, 2000), max_size=30))
def test_what_is_held_is_bounded(text: str, places: list[int]) -> None:
    stream = Bundle.of([MASK]).stream(ANN)
    assert stream is not None
    longest = max(finder.longest for finder in ENTITIES.values())
    for delta in cut(text + "\u200b" * 500 + "4" * 1000 + "\u200b\u0301" * 2000 + "a@" * 3000, places):
        stream.feed("0:content", delta)
        assert stream.held <= longest * 33


def test_policies_that_only_watch_hold_nothing_and_still_count() -> None:
    stream = Bundle.of([policy("Watch", BOTH, action=Action.LOG)]).stream(ANN)
    assert stream is not None
    for character in f"card {CARD} and ada@example.com":
        assert stream.feed("0:content", character) == character
        assert stream.held == 0
    assert stream.flush("0:content") == ""
    (evaluation,) = stream.verdict().evaluations
    assert {(f.type, f.count, f.segment) for f in evaluation.findings} == {
        ("CREDIT_CARD", 1, "assistant"),
        ("EMAIL", 1, "assistant"),
    }


def test_channels_are_texts_of_their_own() -> None:
    stream = Bundle.of([MASK]).stream(ANN)
    assert stream is not None
    channels = ["0:content", "1:content", "0:reasoning", "0:tool:0"]
    out = dict.fromkeys(channels, "")
    for number, character in enumerate(f'"{CARD}" '):
        for channel in channels:
            out[channel] += stream.feed(channel, character if channel != "1:content" else str(number % 10))
    for channel, rest in stream.flush_all():
        out[channel] += rest
    assert out["0:content"] == out["0:reasoning"] == out["0:tool:0"] == '"[CREDIT_CARD]" '
    assert out["1:content"] == "".join(str(number % 10) for number in range(22))
    assert stream.held == 0
    (evaluation,) = stream.verdict().evaluations
    assert {f.segment for f in evaluation.findings} == {"assistant", "reasoning", "tool_call"}


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        TEXTS,
        st.sampled_from([4111111111111111, CARD, "\nada@example.com", '\\"ada@example.com']),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300)
@given(value=JSON, places=st.lists(st.integers(0, 2000), max_size=30), ascii_only=st.booleans())
def test_tool_calls_stay_json(value: object, places: list[int], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    out, _ = streamed(Bundle.of([MASK]), cut(text, places), "0:tool:0")
    json.loads(out)


def test_a_number_with_decimals_in_a_tool_call_becomes_one_string() -> None:
    for number in ("4111111111111111.50", "4111111111111111e2"):
        out, _ = streamed(Bundle.of([MASK]), list(f'{{"pan": {number}, "n": 1}}'), "0:tool:0")
        assert json.loads(out) == {"pan": "[CREDIT_CARD]", "n": 1}


@pytest.mark.parametrize(
    "text", ["DE12 4547 3373 6105 5781 00", "a4111111111111111b", "x1 4111 1111 1111 1111 1 1"]
)
def test_what_came_before_still_counts_after_it_has_left(text: str) -> None:
    bundle = Bundle.of([MASK])
    whole = "wo rd " * 100 + text + " end"
    verdict = bundle.review(ANN, assistant(whole))
    for place in range(len(text) + 1):
        out, _ = streamed(bundle, [whole[: 600 + place], *whole[600 + place :]])
        assert out == (verdict.texts[0] if verdict.texts else whole)


def test_a_failing_detector_that_fails_open_lets_the_rest_work() -> None:
    bundle = Bundle.of(
        [policy("Drill", dummy("zz", fails=True), action=Action.REDACT, fail_closed=False), MASK]
    )
    out, stream = streamed(bundle, list(f"card {CARD}. " * 50))
    assert out == "card [CREDIT_CARD]. " * 50
    assert stream.blocked is None
    assert {e.action for e in stream.verdict().evaluations} == {"error", "redact"}


def test_a_failing_detector_that_fails_closed_stops_the_stream() -> None:
    out, stream = streamed(
        Bundle.of([policy("Drill", dummy("zz", fails=True), action=Action.REDACT)]), ["a", "b"]
    )
    assert out == ""
    assert stream.blocked is not None
    assert stream.blocked.failed


def test_a_stream_keeps_no_text_it_has_decided_on() -> None:
    stream = Bundle.of([MASK]).stream(ANN)
    assert stream is not None
    for _ in range(2000):
        stream.feed("0:content", "some words of an answer, ")
    assert len(stream._channels["0:content"].raw) < 400


def test_an_answer_without_findings_is_allowed() -> None:
    out, stream = streamed(Bundle.of([MASK]), ["Hello ", "world"])
    assert out == "Hello world"
    verdict = stream.verdict()
    assert verdict.action is Action.ALLOW
    assert [e.action for e in verdict.evaluations] == ["allow"]
    assert Bundle.of([MASK]).review(ANN, assistant(out)).action is Action.ALLOW

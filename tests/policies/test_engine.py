# SPDX-License-Identifier: Apache-2.0
"""What policies say of whole prompts and answers."""

import json
import random

import pytest

from apps.policies.domain import NOTHING, Action, Detector, Facts, Phase, Scope, Segment
from apps.policies.engine import EMPTY, Bundle
from apps.policies.kinds.base import Finder
from apps.policies.memo import Memo
from apps.policies.stage import consult, inspect, review
from tests.policies.build import ANN, BOTH, CARD, CARDS, EMAILS, assistant, dummy, policy, user

MASK = policy("PCI card mask", CARDS, action=Action.REDACT)
STOP = policy("No cards", CARDS, action=Action.BLOCK)
LOG = policy("Watch e-mail", EMAILS, action=Action.LOG)


def test_nothing_in_scope_says_nothing() -> None:
    assert EMPTY.inspect(ANN, user(CARD)) is NOTHING
    assert EMPTY.stream(ANN) is None


def test_clean_text_is_allowed_with_one_evaluation_per_policy() -> None:
    verdict = Bundle.of([MASK, LOG]).inspect(ANN, user("hello"))
    assert verdict.action is Action.ALLOW
    assert verdict.texts is None
    assert [(e.name, e.phase, e.action, e.findings) for e in verdict.evaluations] == [
        ("PCI card mask", "input", "allow", ()),
        ("Watch e-mail", "input", "allow", ()),
    ]


def test_block_says_whose_rule_it_was_and_what_to_do_but_not_the_value() -> None:
    verdict = Bundle.of([STOP]).inspect(ANN, user(f"my card is {CARD}"))
    assert verdict.action is Action.BLOCK
    assert verdict.texts is None
    assert (
        verdict.reason
        == '"No cards" stopped this: the prompt holds a card number. Remove it, or ask compliance for an exception.'
    )
    assert "4111" not in repr(verdict)


def test_block_of_an_answer_is_worded_for_the_reader() -> None:
    both = policy("No contact data", BOTH)
    verdict = Bundle.of([both]).review(ANN, assistant(f"{CARD} ada@example.com"))
    assert verdict.reason == (
        '"No contact data" stopped this: the answer holds a card number and an e-mail address. '
        "Ask for an answer without it, or ask compliance for an exception."
    )


def test_redaction_rewrites_only_what_was_found() -> None:
    segments = [Segment("system", "be kind"), Segment("user", f"a {CARD} b {CARD}"), Segment("tool", "ok")]
    verdict = Bundle.of([MASK]).inspect(ANN, segments)
    assert verdict.action is Action.REDACT
    assert verdict.texts == ("be kind", "a [CREDIT_CARD] b [CREDIT_CARD]", "ok")
    assert verdict.reason == '"PCI card mask" replaced a card number in the prompt.'
    assert [(f.type, f.count, f.segment) for e in verdict.evaluations for f in e.findings] == [
        ("CREDIT_CARD", 2, "user")
    ]


def test_findings_name_the_role_of_each_segment() -> None:
    segments = [Segment("user", CARD), Segment("tool", f"{CARD}, {CARD}"), Segment("user", CARD)]
    (evaluation,) = Bundle.of([MASK]).inspect(ANN, segments).evaluations
    assert {(f.segment, f.count) for f in evaluation.findings} == {("user", 2), ("tool", 2)}


def test_the_spans_of_all_redacting_policies_are_joined() -> None:
    bundle = Bundle.of([MASK, policy("E-mail mask", EMAILS, action=Action.REDACT)])
    verdict = bundle.inspect(ANN, user(f"ada@example.com {CARD} 4111111111111111@example.com"))
    assert verdict.texts == ("[EMAIL] [CREDIT_CARD] [EMAIL]",)


def test_a_logging_policy_changes_nothing() -> None:
    verdict = Bundle.of([LOG, MASK]).inspect(ANN, user("ada@example.com"))
    assert (verdict.action, verdict.texts) == (Action.LOG, None)
    assert verdict.reason == '"Watch e-mail" noted an e-mail address in the prompt.'


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_policies_decides_nothing(seed: int) -> None:
    policies = [
        MASK,
        STOP,
        LOG,
        policy("E-mail mask", EMAILS, action=Action.REDACT),
        policy("Odd", dummy(fails=True), fail_closed=False),
    ]
    ordered = Bundle.of(policies)
    random.Random(seed).shuffle(policies)
    shuffled = Bundle.of(policies)
    assert shuffled.digest == ordered.digest
    for text in (CARD, "ada@example.com", "hello", f"ada@example.com {CARD}"):
        one, other = ordered.inspect(ANN, user(text)), shuffled.inspect(ANN, user(text))
        assert (one.action, one.texts, one.reason, one.failed) == (
            other.action,
            other.texts,
            other.reason,
            other.failed,
        )
        assert [e.name for e in one.evaluations] == [e.name for e in other.evaluations]


def test_the_strictest_action_wins() -> None:
    assert Bundle.of([LOG, MASK]).inspect(ANN, user(f"{CARD} a@b.io")).action is Action.REDACT
    assert Bundle.of([LOG, MASK, STOP]).inspect(ANN, user(f"{CARD} a@b.io")).action is Action.BLOCK


def test_the_digest_changes_with_any_policy() -> None:
    digests = {
        Bundle.of(policies).digest
        for policies in (
            [],
            [MASK],
            [STOP],
            [MASK, STOP],
            [policy("PCI card mask", CARDS, action=Action.REDACT, fail_closed=False)],
        )
    }
    assert len(digests) == 5
    assert all(len(digest) == 32 and int(digest, 16) for digest in digests)


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Scope(), True),
        (Scope(models=("small",)), True),
        (Scope(models=("large",)), False),
        (Scope(team_ids=("team_red", "team_blue")), True),
        (Scope(team_ids=("team_blue",)), False),
        (Scope(key_ids=("key_ann",)), True),
        (Scope(key_ids=("key_bob",)), False),
        (Scope(departments=("Finance",)), True),
        (Scope(departments=("Legal",)), False),
        (Scope(groups=("staff", "board")), True),
        (Scope(groups=("board",)), False),
        (Scope(models=("small",), groups=("board",)), False),
    ],
)
def test_a_scope_decides_whose_text_is_looked_at(scope: Scope, inside: bool) -> None:
    verdict = Bundle.of([policy("Scoped", CARDS, scope=scope)]).inspect(ANN, user(CARD))
    assert (verdict.action is Action.BLOCK) is inside
    assert len(verdict.evaluations) == inside


def test_scopes_are_told_apart_by_facts_met_before() -> None:
    bundle = Bundle.of([policy("Finance only", CARDS, scope=Scope(departments=("Finance",)))])
    for number in range(3000):
        department = "Finance" if number % 2 else "Legal"
        facts = Facts(key_id=f"key_{number}", department=department)
        assert (bundle.inspect(facts, user(CARD)).action is Action.BLOCK) is (department == "Finance")


def test_phases_are_separate() -> None:
    bundle = Bundle.of([policy("Out only", CARDS, phases=(Phase.OUTPUT,))])
    assert bundle.inspect(ANN, user(CARD)) is NOTHING
    assert bundle.review(ANN, assistant(CARD)).action is Action.BLOCK


def test_a_failure_stops_everything_where_the_policy_fails_closed() -> None:
    verdict = Bundle.of([policy("Drill", dummy(fails=True))]).inspect(ANN, user("hello"))
    assert (verdict.action, verdict.failed) == (Action.BLOCK, True)
    assert verdict.reason.startswith('"Drill" could not be checked')
    (evaluation,) = verdict.evaluations
    assert evaluation.action == "error"
    assert evaluation.findings[0].type == "DummyFailedError"


def test_a_failure_is_only_recorded_where_the_policy_fails_open() -> None:
    bundle = Bundle.of([policy("Drill", dummy(fails=True), fail_closed=False), MASK])
    verdict = bundle.inspect(ANN, user(CARD))
    assert (verdict.action, verdict.failed, verdict.texts) == (Action.REDACT, False, ("[CREDIT_CARD]",))
    assert sorted(e.action for e in verdict.evaluations) == ["error", "redact"]


def test_a_redaction_that_was_only_half_checked_never_leaves() -> None:
    bundle = Bundle.of([policy("Half", CARDS, dummy(fails=True), action=Action.REDACT, fail_closed=True)])
    verdict = bundle.inspect(ANN, user(CARD))
    assert (verdict.failed, verdict.texts) == (True, None)


def test_a_certain_block_outweighs_a_failure() -> None:
    verdict = Bundle.of([policy("Drill", dummy(fails=True)), STOP]).inspect(ANN, user(CARD))
    assert (verdict.action, verdict.failed) == (Action.BLOCK, False)
    assert verdict.reason.startswith('"No cards" stopped this')


@pytest.mark.parametrize(
    "detector", [Detector(kind="palmistry"), Detector(kind="pii", params={"entities": ["SHOE_SIZE"]})]
)
def test_a_policy_this_version_cannot_read_fails_closed(detector: Detector) -> None:
    bundle = Bundle.of([policy("From the future", detector), MASK])
    assert bundle.inspect(ANN, user("hello")).failed
    stream = bundle.stream(ANN)
    assert stream is not None
    assert stream.feed("0:content", "hello ") == ""
    assert stream.blocked is not None
    assert stream.blocked.failed


def test_a_detector_that_failed_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.of([policy("Drill", dummy("x", fails=True))])
    assert bundle.inspect(ANN, user("hello")).failed
    assert bundle.inspect(ANN, user("hello")).failed


def test_known_segments_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    finder_type: type[Finder] = type(Bundle.of([MASK])._input.whole.finders[0])  # type: ignore[union-attr]
    find = finder_type.find
    monkeypatch.setattr(
        finder_type, "find", lambda self, text, start=0: searched.append(text.raw) or find(self, text, start)
    )
    bundle = Bundle.of([MASK, STOP, policy("Also", CARDS, action=Action.LOG)])
    turn = [Segment("system", "be kind"), Segment("user", "hello " * 100)]
    first = bundle.inspect(ANN, turn)
    assert len(searched) == 2
    second = bundle.inspect(ANN, [*turn, Segment("assistant", "hi"), Segment("user", CARD)])
    assert searched[2:] == ["hi", CARD]
    assert first.action is Action.ALLOW
    assert second.action is Action.BLOCK


def test_the_memo_is_bounded_by_bytes_and_forgets_the_longest_unused() -> None:
    memo = Memo(limit_bytes=100_000)
    bundle = Bundle.of([MASK], memo)
    bundle.inspect(ANN, user("kept" * 100))
    kept = memo.of("kept" * 100)
    for number in range(1000):
        bundle.inspect(ANN, [*user(f"{number} " * 100), *user("kept" * 100)])
        assert memo.bytes <= 100_000
    assert 0 < len(memo) < 500
    assert memo.of("kept" * 100) is kept
    assert not memo.of("0 " * 100)


def test_a_text_larger_than_the_memo_is_looked_at_but_not_kept() -> None:
    memo = Memo(limit_bytes=1000)
    bundle = Bundle.of([MASK], memo)
    assert bundle.inspect(ANN, user("x" * 5000 + f" {CARD}")).action is Action.REDACT
    assert (len(memo), memo.bytes) == (0, 0)


def test_tool_call_arguments_stay_json() -> None:
    bundle = Bundle.of([policy("Mask", BOTH, action=Action.REDACT)])
    arguments = json.dumps(
        {"note": 'say "hi"\nada@example.com', "pan": 4111111111111111, "more": ["\\", CARD]}
    )
    verdict = bundle.review(ANN, [Segment("tool_call", arguments)])
    assert verdict.texts is not None
    assert json.loads(verdict.texts[0]) == {
        "note": 'say "hi"\n[EMAIL]',
        "pan": "[CREDIT_CARD]",
        "more": ["\\", "[CREDIT_CARD]"],
    }


def test_reviewing_an_answer_again_gives_nothing_to_do() -> None:
    bundle = Bundle.of([policy("Mask", BOTH, action=Action.REDACT)])
    once = bundle.review(ANN, assistant(f"{CARD} and ada@example.com")).texts
    assert once is not None
    assert bundle.review(ANN, assistant(once[0])).action is Action.ALLOW


async def test_the_stage_says_what_the_bundle_says() -> None:
    bundle = Bundle.of([MASK])
    assert inspect(bundle, ANN, user(CARD)).texts == ("[CREDIT_CARD]",)
    assert review(bundle, ANN, assistant(CARD)).texts == ("[CREDIT_CARD]",)
    assert await consult(bundle, ANN, user(CARD)) is NOTHING

# SPDX-License-Identifier: Apache-2.0
"""The policies of one phase that look at an exchange, compiled: their finders, each once, and what findings lead to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from apps.audit.domain import Evaluation, Finding
from apps.policies.domain import SEVERITY, Action, Phase, Policy, Verdict
from apps.policies.kinds import finders
from apps.policies.kinds.base import Finder
from apps.policies.text import Text

ERROR = "error"


class PolicyUnusableError(Exception):
    """A published policy holds a detector that this version cannot make."""


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands for detectors that cannot be made, so that their policy fails the way it says."""

    policy_id: str
    type: ClassVar[str] = "UNUSABLE"
    said: ClassVar[str] = "something"
    longest: ClassVar[int] = 0

    def find(self, text: Text, start: int = 0) -> list[tuple[int, int]]:
        raise PolicyUnusableError(self.policy_id)

    def undecided(self, text: Text) -> int:
        return len(text.data)


@dataclass(slots=True)
class Notes:
    """What was seen while looking: per finder counts by role, what failed, and nanoseconds."""

    found: dict[int, dict[str, int]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    took: dict[int, int] = field(default_factory=dict)

    def count(self, finder: int, role: str, number: int = 1) -> None:
        """Adds findings of a finder in a segment of some role."""
        roles = self.found.setdefault(finder, {})
        roles[role] = roles.get(role, 0) + number


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy with the places of its finders in the plan."""

    policy: Policy
    finders: tuple[int, ...]


class Plan:
    """All policies in scope of one phase; immutable."""

    __slots__ = (
        "_clean",
        "_phase",
        "blocking",
        "finders",
        "holding",
        "phase",
        "redacting",
        "rules",
        "wanted",
    )

    def __init__(self, phase: Phase, policies: Iterable[Policy]) -> None:
        self.phase = phase
        self._phase = phase.value
        places: dict[Finder, int] = {}
        self.rules = tuple(
            Rule(policy, tuple(places.setdefault(finder, len(places)) for finder in _finders_of(policy)))
            for policy in sorted(policies, key=lambda policy: policy.id)
        )
        self.finders: tuple[Finder, ...] = tuple(places)
        self.wanted = places.keys()
        self.blocking = self._used_for(Action.BLOCK)
        self.redacting = self._used_for(Action.REDACT)
        self.holding = self.blocking | self.redacting
        self._clean = Verdict(Action.ALLOW, self._evaluations(Notes()))

    def conclude(self, notes: Notes, texts: tuple[str, ...] | None = None) -> Verdict:
        """What all rules together say: block before failure before redact before log before allow."""
        if not notes.found and not notes.faults:
            return Verdict(Action.ALLOW, self._evaluations(notes)) if notes.took else self._clean
        evaluations = self._evaluations(notes)
        action, chosen, failed = Action.ALLOW, None, None
        for rule, evaluation in zip(self.rules, evaluations, strict=True):
            if evaluation.action == ERROR:
                if rule.policy.fail_closed and failed is None:
                    failed = rule
            elif SEVERITY[Action(evaluation.action)] > SEVERITY[action]:
                action, chosen = Action(evaluation.action), rule
        if failed is not None and action is not Action.BLOCK:
            reason = f'"{failed.policy.name}" could not be checked, so nothing went on. Send it again; tell compliance if it persists.'
            return Verdict(Action.BLOCK, evaluations, None, reason, failed=True)
        reason = self._reason(chosen, action, notes) if chosen else ""
        return Verdict(action, evaluations, texts if action is Action.REDACT else None, reason)

    def fails_closed(self, finder: int) -> bool:
        """Whether some rule that uses a finder must stop everything when it fails."""
        return any(rule.policy.fail_closed and finder in rule.finders for rule in self.rules)

    def _used_for(self, action: Action) -> frozenset[int]:
        return frozenset(
            place for rule in self.rules if rule.policy.action is action for place in rule.finders
        )

    def _evaluations(self, notes: Notes) -> tuple[Evaluation, ...]:
        return tuple(self._evaluation(rule, notes) for rule in self.rules)

    def _evaluation(self, rule: Rule, notes: Notes) -> Evaluation:
        policy = rule.policy
        took = 0
        for i in rule.finders:
            took += notes.took.get(i, 0)
        if not notes.found and not notes.faults:
            return Evaluation(policy.id, policy.version, policy.name, self._phase, "allow", took // 1000)
        hits = [i for i in rule.finders if i in notes.found]
        faults = [i for i in rule.finders if i in notes.faults]
        found = tuple(
            Finding(self.finders[i].type, count, role) for i in hits for role, count in notes.found[i].items()
        )
        action = policy.action.value if hits else Action.ALLOW.value
        if faults and not (hits and policy.action is Action.BLOCK):
            action = ERROR
            found += tuple(Finding(notes.faults[i], 1, "") for i in faults)
        return Evaluation(policy.id, policy.version, policy.name, self._phase, action, took // 1000, found)

    def _reason(self, rule: Rule, action: Action, notes: Notes) -> str:
        what = _listed(dict.fromkeys(self.finders[i].said for i in rule.finders if i in notes.found))
        where = "prompt" if self.phase is Phase.INPUT else "answer"
        if action is Action.BLOCK:
            remedy = "Remove it" if self.phase is Phase.INPUT else "Ask for an answer without it"
            return f'"{rule.policy.name}" stopped this: the {where} holds {what}. {remedy}, or ask compliance for an exception.'
        done = "replaced" if action is Action.REDACT else "noted"
        return f'"{rule.policy.name}" {done} {what} in the {where}.'


def _finders_of(policy: Policy) -> Sequence[Finder]:
    try:
        return [finder for detector in policy.detectors for finder in finders(detector)]
    except ValueError:
        return [_Unusable(policy.id)]


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

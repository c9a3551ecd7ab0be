# SPDX-License-Identifier: Apache-2.0
"""The policies of one organisation, compiled: what gateways ask before a prompt leaves and before an answer does."""

import hashlib
from collections.abc import Iterable, Sequence
from time import perf_counter_ns
from typing import Self

from apps.core.values import encode
from apps.policies.domain import NOTHING, Action, Facts, Phase, Policy, Scope, Segment, Verdict
from apps.policies.memo import Memo, Seen
from apps.policies.plan import Notes, Plan
from apps.policies.rewrite import RawSpan, redacted
from apps.policies.stream import StreamReview
from apps.policies.text import Text

_PLANS_MOST = 1024
_EVERYBODY = Scope()
# Segments whose text is a JSON document and must stay one.
_JSON_ROLES = frozenset({"tool_call"})


class _Side:
    """The policies of one phase: a single plan where none has a scope, else plans by facts, as they are met."""

    __slots__ = ("_plans", "_policies", "phase", "whole")

    def __init__(self, phase: Phase, policies: tuple[Policy, ...]) -> None:
        self.phase = phase
        self._policies = tuple(policy for policy in policies if phase in policy.phases)
        anybodys = all(policy.scope == _EVERYBODY for policy in self._policies)
        self.whole = Plan(phase, self._policies) if anybodys else None
        self._plans: dict[Facts, Plan] = {}

    def plan_for(self, facts: Facts) -> Plan:
        """The plan of the policies whose scope covers the facts."""
        plan = self._plans.get(facts)
        if plan is None:
            if len(self._plans) >= _PLANS_MOST:
                self._plans.clear()
            plan = Plan(self.phase, [policy for policy in self._policies if _covers(policy.scope, facts)])
            self._plans[facts] = plan
        return plan


class Bundle:
    """An immutable set of policies; the same policies give the same digest and the same verdicts in any order."""

    __slots__ = ("_input", "_memo", "_output", "digest", "policies")

    def __init__(self, policies: tuple[Policy, ...], memo: Memo) -> None:
        self.policies = policies
        self.digest = hashlib.sha256(b"\n".join(encode(policy) for policy in policies)).hexdigest()[:32]
        self._memo = memo
        self._input = _Side(Phase.INPUT, policies)
        self._output = _Side(Phase.OUTPUT, policies)

    @classmethod
    def of(cls, policies: Iterable[Policy], memo: Memo | None = None) -> Self:
        """Compiles policies; a `memo` may be shared by bundles of one thread and outlives an edit.

        A policy that cannot be compiled stays in and fails the way it says: closed, or open with a record.
        """
        by_id = {policy.id: policy for policy in policies}
        return cls(tuple(by_id[id_] for id_ in sorted(by_id)), Memo() if memo is None else memo)

    def inspect(self, facts: Facts, segments: Sequence[Segment]) -> Verdict:
        """What the input policies say of a prompt; `texts` are its segments rewritten, in order."""
        return self._look(self._input.whole or self._input.plan_for(facts), segments)

    def review(self, facts: Facts, segments: Sequence[Segment]) -> Verdict:
        """What the output policies say of a whole answer; `texts` are its segments rewritten, in order."""
        return self._look(self._output.whole or self._output.plan_for(facts), segments)

    def acts(self, facts: Facts, phase: Phase) -> bool:
        """Whether a policy in scope of a phase may block or redact: what it cannot read must not pass."""
        side = self._input if phase is Phase.INPUT else self._output
        return bool((side.whole or side.plan_for(facts)).holding)

    def holds_prompts(self, facts: Facts) -> bool:
        """Whether an input policy in scope may block or redact."""
        plan = self._input.whole or self._input.plan_for(facts)
        return any(rule.policy.action in {Action.BLOCK, Action.REDACT} for rule in plan.rules)

    def stream(self, facts: Facts) -> StreamReview | None:
        """The review of an answer as it comes; None when no output policy is in scope."""
        plan = self._output.whole or self._output.plan_for(facts)
        return StreamReview(plan) if plan.rules else None

    def _look(self, plan: Plan, segments: Sequence[Segment]) -> Verdict:
        if not plan.rules:
            return NOTHING
        notes = Notes()
        # What each segment holds, for rewriting: None where nothing was found.
        holds: list[Seen | None] = [None] * len(segments)
        finders, known = plan.finders, self._memo.of
        for place, segment in enumerate(segments):
            seen = known(segment.text)
            if not plan.wanted <= seen.keys():
                _search(plan, segment.text, seen, notes)
            for i, finder in enumerate(finders):
                spans = seen.get(finder)
                if spans:
                    notes.count(i, segment.role, len(spans))
                    holds[place] = seen
        if not notes.found or not plan.redacting or not plan.redacting.isdisjoint(notes.faults):
            return plan.conclude(notes)
        return plan.conclude(notes, _rewritten(plan, segments, holds))


EMPTY = Bundle.of(())


def _covers(scope: Scope, facts: Facts) -> bool:
    return (
        (not scope.models or facts.model in scope.models)
        and (not scope.team_ids or facts.team_id in scope.team_ids)
        and (not scope.key_ids or facts.key_id in scope.key_ids)
        and (not scope.departments or facts.department in scope.departments)
        and (not scope.groups or not set(scope.groups).isdisjoint(facts.groups))
    )


def _search(plan: Plan, raw: str, seen: Seen, notes: Notes) -> None:
    """Runs the finders that have not seen a text yet; one that failed will be asked again next time."""
    text = Text(raw)
    for i, finder in enumerate(plan.finders):
        if finder in seen or i in notes.faults:
            continue
        began = perf_counter_ns()
        try:
            found = finder.find(text)
            seen[finder] = tuple(text.raw_span(start, end) for start, end in found) if found else ()
        except Exception as fault:  # noqa: BLE001 - whatever a detector dies of, its policy says what follows
            notes.faults[i] = type(fault).__name__
        notes.took[i] = notes.took.get(i, 0) + perf_counter_ns() - began


def _rewritten(plan: Plan, segments: Sequence[Segment], holds: Sequence[Seen | None]) -> tuple[str, ...]:
    texts: list[str] = []
    for segment, seen in zip(segments, holds, strict=True):
        spans: list[RawSpan] = []
        if seen is not None:
            for i in plan.redacting:
                finder = plan.finders[i]
                spans += [(start, end, finder.type) for start, end in seen.get(finder, ())]
        texts.append(redacted(segment.text, spans, segment.role in _JSON_ROLES) if spans else segment.text)
    return tuple(texts)

# SPDX-License-Identifier: Apache-2.0
"""The steps that policies offer to the pipeline."""

from collections.abc import Sequence

from apps.policies.domain import NOTHING, Facts, Phase, Segment, Verdict
from apps.policies.engine import Bundle
from apps.policies.stream import StreamReview


def inspect(bundle: Bundle, facts: Facts, segments: Sequence[Segment]) -> Verdict:
    """Step 2: the local tiers over the prompt; no I/O."""
    return bundle.inspect(facts, segments)


async def consult(bundle: Bundle, facts: Facts, segments: Sequence[Segment]) -> Verdict:
    """Step 3b: the tiers that need the embedder or I/O. No kind of this version belongs to one, so nothing is said."""
    return NOTHING


def review(bundle: Bundle, facts: Facts, segments: Sequence[Segment]) -> Verdict:
    """Step 7 for a whole answer, fresh or stored."""
    return bundle.review(facts, segments)


def acts(bundle: Bundle, facts: Facts, phase: Phase) -> bool:
    """Whether a policy in scope may block or redact in a phase, so that what nobody can read must not pass."""
    return bundle.acts(facts, phase)


def stream(bundle: Bundle, facts: Facts) -> StreamReview | None:
    """Step 7 for an answer as it comes; None when no output policy is in scope."""
    return bundle.stream(facts)


def holds_prompts(bundle: Bundle, facts: Facts) -> bool:
    """Whether a policy in scope may block or redact a prompt: what nobody can read must then not pass."""
    return bundle.holds_prompts(facts)

# SPDX-License-Identifier: Apache-2.0
"""One record, arranged for reading: the sentence first, then facts, stages, policies, cache, attempts, cost."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext

from apps.audit.domain import Attempt, Evaluation, Record, State, UsageSource, Verdict
from apps.core import ids, money
from apps.dashboard import figures, waterfall
from apps.dashboard.verdicts import ACTIONS, LOOKS, Look, look_of

Text = str | Promise
OUTCOMES: dict[str, Text] = {
    "timeout": gettext_lazy("timed out"),
    "connect": gettext_lazy("no connection"),
    "cut": gettext_lazy("connection cut"),
    "cancelled": gettext_lazy("cancelled"),
    "too_large": gettext_lazy("answer too large"),
}
USAGE: dict[UsageSource, Text] = {
    UsageSource.PROVIDER: gettext_lazy("counted by the provider"),
    UsageSource.ESTIMATED: gettext_lazy("estimated here"),
    UsageSource.CACHE: gettext_lazy("from the cache"),
    UsageSource.NONE: gettext_lazy("nothing was used"),
    UsageSource.UNKNOWN: gettext_lazy("not known"),
}
PHASES: dict[str, Text] = {
    "exact": gettext_lazy("Exact"),
    "fingerprint": gettext_lazy("Fingerprint"),
    "near": gettext_lazy("Near-miss"),
    "semantic": gettext_lazy("Semantic"),
}
RESULTS: dict[str, Text] = {
    "hit": gettext_lazy("hit"),
    "miss": gettext_lazy("no match"),
    "skipped": gettext_lazy("not tried"),
}


def caller(record: Record) -> str:
    """Whom a row names: the person, else the key, else that nobody was recognised."""
    return record.person_name or record.key_name or gettext("Unknown key")


def cache_name(record: Record) -> Text:
    """The phase that answered, or nothing."""
    return PHASES.get(record.cache_hit, record.cache_hit.capitalize())


@dataclass(frozen=True, slots=True)
class Judged:
    """What one policy said in one phase."""

    evaluation: Evaluation
    look: Look
    found: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One call to a target in words."""

    attempt: Attempt
    look: Look
    answer: Text


@dataclass(frozen=True, slots=True)
class Phase:
    """One cache phase in words."""

    name: Text
    result: Text
    is_hit: bool


class Exchange:
    """A record as the drawer and the page show it; nothing here is marked safe that came from outside."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.look = look_of(record)
        self.caller = caller(record)
        self.at = ids.moment(record.id)
        self.cache = cache_name(record)
        self.model = record.model or record.model_asked
        self.charged = money.dollars(record.charged)
        self.reserved = money.dollars(record.reserved)

    @property
    def same_caller(self) -> str:
        """The query of the list of this caller's exchanges."""
        return urlencode({"caller": self.caller, "range": "7d"})

    @property
    def own_us(self) -> int:
        """What was added to the upstream's time."""
        return max(self.record.total_us - self.record.upstream_us, 0)

    @property
    def fall(self) -> list[waterfall.Row]:
        """The waterfall."""
        return waterfall.rows(self.record)

    @property
    def judged(self) -> list[Judged]:
        """Policies that said something, then the first quiet ones."""
        ordered = sorted(self.record.evaluations, key=lambda one: one.action == "allow")
        return [Judged(one, ACTIONS.get(one.action, ACTIONS["log"]), _found(one)) for one in ordered]

    @property
    def findings(self) -> int:
        """How many values detectors found."""
        return sum(item.count for one in self.record.evaluations for item in one.findings)

    @property
    def policy_us(self) -> int:
        """What all policies took."""
        return sum(one.took_us for one in self.record.evaluations)

    @property
    def tried(self) -> list[Tried]:
        """Attempts in order."""
        return [_tried(attempt) for attempt in self.record.attempts]

    @property
    def phases(self) -> list[Phase]:
        """Cache phases in the order tried."""
        return [
            Phase(PHASES.get(one.phase, one.phase), RESULTS.get(one.result, one.result), one.result == "hit")
            for one in self.record.phases
        ]

    @property
    def usage(self) -> Text:
        """How the tokens were counted."""
        return USAGE[self.record.usage_source]

    @property
    def raw(self) -> str:
        """The record as indented JSON, for a `pre`; the template escapes it."""
        return json.dumps(msgspec.to_builtins(self.record), indent=2, ensure_ascii=False, default=str)

    @property
    def sentence(self) -> SafeString:
        """What happened, in two to four sentences."""
        parts = [self._asked(), self._decided(), self._answered(), self._added()]
        return format_html_join(" ", "{}", ((part,) for part in parts if part))

    def _asked(self) -> SafeString:
        record = self.record
        who = strong(self.caller)
        if record.team_name:
            who = format_html("{} ({})", who, record.team_name)
        model = record.model or record.model_asked
        if not model:
            return format_html(gettext("{who} sent a request without a usable model."), who=who)
        return format_html(gettext("{who} asked {model}."), who=who, model=strong(model))

    def _decided(self) -> SafeString | str:
        record = self.record
        acting = next((one.name for one in record.evaluations if one.action == record_action(record)), "")
        if record.state is State.OPEN:
            return gettext("It is still running.")
        if record.state is State.INTERRUPTED:
            return gettext(
                "The process that served it ended before the answer did; what was reserved is charged."
            )
        if record.verdict is Verdict.REDACTED:
            count = self.findings
            return ngettext("{count} value was redacted.", "{count} values were redacted.", count).format(
                count=figures.whole(count)
            )
        if record.verdict is Verdict.BLOCKED:
            return format_html(gettext("{policy} stopped it."), policy=strong(acting or gettext("A policy")))
        if record.verdict is Verdict.HELD:
            return gettext("It waits for an approver; nothing was reserved.")
        if record.verdict is Verdict.REFUSED:
            return format_html(
                gettext("It was refused: {code}."), code=strong(record.error_code or str(record.status))
            )
        if record.verdict is Verdict.FAILED:
            return format_html(
                gettext("It failed: {code}."), code=strong(record.error_code or str(record.status))
            )
        return ""

    def _answered(self) -> SafeString | str:
        record = self.record
        if record.cache_hit:
            return format_html(
                gettext("The cache answered ({phase}) in {time}; it saved {saved}."),
                phase=self.cache,
                time=strong(figures.duration(record.total_us)),
                saved=strong("$" + figures.dollars(record.saved)),
            )
        failed = sum(attempt.outcome != "ok" for attempt in record.attempts)
        answered = any(attempt.outcome == "ok" for attempt in record.attempts)
        if not answered:
            return (
                ""
                if not failed
                else ngettext(
                    "{count} target was asked and did not answer.",
                    "{count} targets were asked, none answered.",
                    failed,
                ).format(count=failed)
            )
        text = (
            gettext("{target} answered in {time} for {cost}.")
            if not failed
            else gettext("After {failed} failed, {target} answered in {time} for {cost}.")
        )
        return format_html(
            text,
            failed=ngettext("{count} target", "{count} targets", failed).format(count=failed),
            target=strong(record.target or record.attempts[-1].target),
            time=strong(figures.duration(record.total_us)),
            cost=strong("$" + figures.dollars(record.cost)),
        )

    def _added(self) -> SafeString | str:
        if not self.record.upstream_us or self.record.cache_hit:
            return ""
        return format_html(gettext("Smartflow added {time}."), time=strong(figures.duration(self.own_us)))


def record_action(record: Record) -> str:
    """The policy action that leads to the record's verdict."""
    return {Verdict.BLOCKED: "block", Verdict.REDACTED: "redact"}.get(record.verdict, "")


def strong(text: Any) -> SafeString:
    """Text in the strong ink of a sentence, escaped."""
    return format_html('<strong class="ink">{}</strong>', text)


def _found(evaluation: Evaluation) -> str:
    return ", ".join(
        f"{item.count} {item.type.replace('_', ' ')} ({item.segment})"
        if item.segment
        else f"{item.count} {item.type}"
        for item in evaluation.findings
    )


def _tried(attempt: Attempt) -> Tried:
    if attempt.outcome == "ok":
        return Tried(attempt, LOOKS[Verdict.ALLOWED], str(attempt.status))
    answer = OUTCOMES.get(attempt.outcome) or str(attempt.status or attempt.outcome)
    return Tried(attempt, LOOKS[Verdict.FAILED], answer)

# SPDX-License-Identifier: Apache-2.0
"""The review of an answer while it is written: only what can still become a finding is held back.

Every channel (each choice's content, reasoning, tool calls) is a text of its own. `undecided` of the finders says
from where on more text could still begin a match; what lies before is decided for good and leaves, so the output
does not depend on how the text was cut into deltas.
"""

from time import perf_counter_ns

from apps.policies.domain import Verdict
from apps.policies.kinds.base import LOOK_BEHIND
from apps.policies.plan import Notes, Plan
from apps.policies.rewrite import Rewriter
from apps.policies.text import Text, likeness

# Characters that are drawn as nothing, one after another; more would make the held text endless.
_UNSEEN_MOST = 32
# A channel keeps this much before it drops what was decided: dropping at every delta costs more than it saves.
_FORGET_AT = 192


class _Channel:
    """One growing text: `raw` from a little before what is undecided on; `next` and `released` are offsets."""

    __slots__ = ("json", "next", "raw", "released", "role", "unseen", "writer")

    def __init__(self, name: str, finders: int) -> None:
        self.json = ":tool:" in name
        self.role = "tool_call" if self.json else "reasoning" if ":reasoning" in name else "assistant"
        self.raw = ""
        self.released = 0  # in `raw`
        self.next = [0] * finders  # in the folded text: where each finder looks next
        self.unseen = 0
        self.writer = Rewriter(self.json)

    def thinned(self, text: str) -> str:
        """The text without the tail of over-long runs of unseen characters."""
        kept: list[str] = []
        for character in text:
            if character.isascii() or likeness(character):
                self.unseen = 0
            else:
                self.unseen += 1
                if self.unseen > _UNSEEN_MOST:
                    continue
            kept.append(character)
        return "".join(kept)

    def release(self, end: int) -> str:
        """The raw text up to `end`, as it is."""
        if end <= self.released:
            return ""
        piece = self.raw[self.released : end]
        self.released = end
        return self.writer.copy(piece) if self.json else piece

    def forget(self, folded: Text, keep_from: int) -> None:
        """Drops what no finder looks at any more."""
        if keep_from <= 0:
            return
        cut = folded.raw_at(keep_from)
        self.raw = self.raw[cut:]
        self.released -= cut
        self.next = [at - keep_from for at in self.next]


class StreamReview:
    """The output policies of one exchange at work on its stream; belongs to that exchange."""

    __slots__ = ("_channels", "_notes", "_plan", "blocked")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._notes = Notes()
        self._channels: dict[str, _Channel] = {}
        self.blocked: Verdict | None = None

    @property
    def held(self) -> int:
        """How many characters are held back now, over all channels."""
        return sum(len(channel.raw) - channel.released for channel in self._channels.values())

    def feed(self, channel: str, text: str) -> str:
        """Takes a delta of a channel ("0:content", "0:reasoning", "0:tool:1"); gives what may leave now."""
        if self.blocked is not None or not text:
            return ""
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel(channel, len(self._plan.finders))
        if text.isascii():
            state.unseen = 0
        else:
            text = state.thinned(text)
        state.raw += text
        return self._advance(state, last=False)

    def flush(self, channel: str) -> str:
        """The end of a channel: what was held leaves, unless it is found."""
        state = self._channels.pop(channel, None)
        return "" if state is None or self.blocked is not None else self._advance(state, last=True)

    def flush_all(self) -> list[tuple[str, str]]:
        """The end of every open channel, as (channel, text) in the order they began."""
        return [(channel, self.flush(channel)) for channel in list(self._channels)]

    def verdict(self) -> Verdict:
        """What the policies say of everything so far, for the record."""
        return self.blocked or self._plan.conclude(self._notes)

    def _advance(self, state: _Channel, last: bool) -> str:
        plan, faults = self._plan, self._notes.faults
        folded = Text(state.raw)
        edge = len(folded.data)
        if not last:
            for i in plan.holding:
                undecided = plan.finders[i].undecided(folded)
                if undecided < edge and i not in faults:
                    edge = undecided
        spans = self._search(state, folded, edge, last)
        if self.blocked is not None:
            return ""
        out = "".join([self._replaced(state, *span) for span in spans]) if spans else ""
        if self.blocked is None:
            out += state.release(folded.raw_at(edge) if plan.holding else len(state.raw))
            if len(folded.data) > _FORGET_AT:
                state.forget(folded, min(edge, *state.next) - LOOK_BEHIND)
        return out

    def _replaced(self, state: _Channel, start: int, end: int, finder: int) -> str:
        """The text up to a finding and its tag; nothing beyond a finding that blocks."""
        if self.blocked is not None:
            return ""
        before = state.release(start)
        if finder in self._plan.blocking:
            self.blocked = self._plan.conclude(self._notes)
            return before
        if end <= state.released:
            return ""
        piece = state.raw[state.released : end]
        state.released = end
        return before + state.writer.replace(piece, self._plan.finders[finder].type)

    def _search(self, state: _Channel, folded: Text, edge: int, last: bool) -> list[tuple[int, int, int]]:
        """New findings to replace or block, in order of place; all are counted."""
        plan, notes = self._plan, self._notes
        spans: list[tuple[int, int, int]] = []
        for i, finder in enumerate(plan.finders):
            acts = i in plan.holding
            limit = edge if acts or last else finder.undecided(folded)
            if limit <= state.next[i]:
                continue
            if i not in notes.faults:
                began = perf_counter_ns()
                try:
                    found = finder.find(folded, state.next[i])
                except Exception as fault:  # noqa: BLE001 - whatever a detector dies of, its policy says what follows
                    self._failed(i, type(fault).__name__)
                    found = []
                notes.took[i] = notes.took.get(i, 0) + perf_counter_ns() - began
                for start, end in found:
                    if start >= limit:
                        break
                    state.next[i] = end
                    notes.count(i, state.role)
                    if acts:
                        spans.append((*folded.raw_span(start, end), i))
            if state.next[i] < limit:
                state.next[i] = limit
        if len(spans) > 1:
            spans.sort(key=lambda span: (span[0], -span[1], plan.finders[span[2]].type))
        return spans

    def _failed(self, finder: int, name: str) -> None:
        self._notes.faults[finder] = name
        if self._plan.fails_closed(finder):
            self.blocked = self._plan.conclude(self._notes)

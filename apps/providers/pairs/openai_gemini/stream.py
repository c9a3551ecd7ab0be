# SPDX-License-Identifier: Apache-2.0
"""A stream of GenerateContentResponse chunks as chat completion chunks."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.gemini_finish import block_text, finish_text, openai_reason
from apps.providers.pairs.openai_gemini.answer import (
    annotations_of,
    candidates_of,
    delta_of,
    head,
    index_of,
    logprobs_of,
    parts_of,
    usage_of,
)
from apps.providers.pairs.pair import Ask, Object


class _Choice:
    """What is known of one choice so far."""

    __slots__ = ("calls", "last", "reason", "text")

    def __init__(self) -> None:
        self.calls = 0
        self.text: list[str] = []
        self.reason = ""
        self.last: Mapping[str, Any] = {}


class Chunks:
    """Passes on every part at once; ends and usage are told when nothing more can come."""

    __slots__ = ("_ask", "_choices", "_head", "_refused", "_usage")

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._head: Object = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self._refused = ""

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The chunks for one event."""
        if not self._head:
            self._head = {**head(event, self._ask), "object": "chat.completion.chunk"}
        self._usage = event.get("usageMetadata") or self._usage
        self._refused = self._refused or block_text(event)
        found: list[Object] = []
        for number, candidate in enumerate(candidates_of(event)):
            self._candidate(candidate, index_of(candidate, number), found)
        return found

    def end(self) -> list[Object]:
        """The end of each choice, then the usage; ValueError where the provider broke off without an end."""
        found: list[Object] = []
        if not self._choices:
            if not self._refused:
                raise ValueError("the stream ended before it began to answer")
            delta = {"role": "assistant", "content": None, "refusal": self._refused}
            found = [self._chunk(0, delta), self._chunk(0, {}, "content_filter")]
        for index in sorted(self._choices):
            self._end(index, self._choices[index], found)
        usage = usage_of(self._usage)
        if self._ask.include_usage and usage:
            found.append({**self._head, "choices": [], "usage": usage})
        return found

    def _candidate(self, candidate: Mapping[str, Any], index: int, found: list[Object]) -> None:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
            found.append(self._chunk(index, {"role": "assistant", "content": ""}))
        logprobs = logprobs_of(candidate)
        for part in parts_of(candidate):
            delta = delta_of(part, self._ask, index, choice.calls)
            if "tool_calls" in delta:
                delta["tool_calls"] = [{"index": choice.calls, **call} for call in delta["tool_calls"]]
                choice.calls += 1
            if text := delta.get("content"):
                choice.text.append(text)
            if delta:
                found.append(self._chunk(index, delta))
            if logprobs is not None and "content" in delta:
                found[-1]["choices"][0]["logprobs"], logprobs = logprobs, None
        if logprobs is not None:
            found.append(self._chunk(index, {}))
            found[-1]["choices"][0]["logprobs"] = logprobs
        if candidate.get("finishReason"):
            choice.reason = str(candidate["finishReason"])
        if "finishReason" in candidate or "citationMetadata" in candidate:
            choice.last = {**choice.last, **candidate}

    def _end(self, index: int, choice: _Choice, found: list[Object]) -> None:
        if not choice.reason and not self._refused:
            raise ValueError("the stream ended before its answer did")
        if annotations := annotations_of(choice.last, "".join(choice.text)):
            found.append(self._chunk(index, {"annotations": annotations}))
        if refusal := finish_text(choice.last) or ("" if choice.reason else self._refused):
            found.append(self._chunk(index, {"refusal": refusal}))
        found.append(self._chunk(index, {}, openai_reason(choice.reason, calls=choice.calls > 0)))

    def _chunk(self, index: int, delta: Object, reason: str | None = None) -> Object:
        return {**self._head, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}

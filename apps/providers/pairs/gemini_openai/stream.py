# SPDX-License-Identifier: Apache-2.0
"""A stream of chat completion chunks as GenerateContentResponse chunks."""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.gemini_openai.answer import (
    call_parts,
    choices_of,
    citations_of,
    finish_of,
    head,
    index_of,
    list_of,
    logprobs_of,
    parts_of,
    signature_of,
    usage_of,
)
from apps.providers.pairs.pair import Ask, Object


class _Call:
    """One tool call while its pieces come in."""

    __slots__ = ("arguments", "id", "name", "number", "signature")

    def __init__(self, number: Any) -> None:
        self.number = number
        self.id = self.name = self.signature = ""
        self.arguments: list[str] = []

    def whole(self) -> Object:
        """The call as a whole completion would hold it."""
        extra = {"extra_content": {"google": {"thought_signature": self.signature}}} if self.signature else {}
        return {"id": self.id, "function": {"name": self.name, "arguments": "".join(self.arguments)}, **extra}


class _Candidate:
    """What is known of one choice so far."""

    __slots__ = ("annotations", "calls", "reason", "refusal", "text")

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.annotations: list[Any] = []
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.reason: Any = None

    def take_call(self, piece: Any) -> None:
        """Take in a piece of a tool call; servers that leave the index out or repeat it are told apart by id."""
        if not isinstance(piece, dict):
            raise ValueError("a tool call must be an object")
        number, given = piece.get("index"), piece.get("id") or ""
        call = next((call for call in reversed(self.calls) if call.number == number), None)
        if call is None or (given and call.id and call.id != given):
            call = _Call(number)
            self.calls.append(call)
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call.id = call.id or str(given)
        call.name = call.name or str(function.get("name") or "")
        call.signature = call.signature or signature_of(piece)
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.arguments.append(arguments)


class Chunks:
    """Passes on text at once; function calls, ends and usage are told when nothing more can come."""

    __slots__ = ("_ask", "_candidates", "_head", "_usage")

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._head: Object = {}
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Any = None

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The chunks for one event: at most one."""
        if not self._head:
            self._head = head(event, self._ask)
        self._usage = event.get("usage") or self._usage
        found = [
            candidate
            for number, choice in enumerate(choices_of(event))
            if (candidate := self._choice(choice, index_of(choice, number))) is not None
        ]
        return [{"candidates": found, **self._head}] if found else []

    def end(self) -> list[Object]:
        """One last chunk with every end and the usage; ValueError where the provider broke off without an end."""
        if not self._candidates:
            raise ValueError("the stream ended before it began to answer")
        ends = [self._end(index, self._candidates[index]) for index in sorted(self._candidates)]
        usage = usage_of(self._usage)
        return [{"candidates": ends, **self._head, **({"usageMetadata": usage} if usage else {})}]

    def _choice(self, choice: Mapping[str, Any], index: int) -> Object | None:
        known = self._candidates.get(index)
        if known is None:
            known = self._candidates[index] = _Candidate()
        known.reason = choice.get("finish_reason") or known.reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return None
        parts = parts_of(delta)
        for piece in list_of(delta, "tool_calls"):
            known.take_call(piece)
        known.annotations += list_of(delta, "annotations")
        if isinstance(delta.get("refusal"), str):
            known.refusal.append(delta["refusal"])
        if isinstance(delta.get("content"), str):
            known.text.append(delta["content"])
        logprobs = logprobs_of(choice.get("logprobs"))
        if not parts and not logprobs:
            return None
        return {"content": {"role": "model", "parts": parts}, "index": index, **logprobs}

    def _end(self, index: int, known: _Candidate) -> Object:
        if known.reason is None:
            raise ValueError("the stream ended before its answer did")
        parts, fault = call_parts(call.whole() for call in known.calls)
        reason, said = finish_of(known.reason, refusal="".join(known.refusal), fault=fault)
        content = {"role": "model", "parts": parts or [{"text": ""}]}
        found: Object = {"content": content, "finishReason": reason, "index": index}
        if said:
            found["finishMessage"] = said
        return {**found, **citations_of(known.annotations, "".join(known.text))}

# SPDX-License-Identifier: Apache-2.0
"""The chunks of a chat completion as events of an Anthropic stream.

Anthropic's blocks come one after the other, OpenAI's tool calls may come at the same time: a call is streamed as it
comes while it is the first that is not whole, and the ones behind it wait. The end waits for the usage.
"""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects.anthropic_blocks import arguments, parsed_input
from apps.providers.dialects.anthropic_message import Writer
from apps.providers.pairs.anthropic_openai.answer import citation, reasoning_of, stop_of, usage_of
from apps.providers.pairs.pair import Ask, Object

_WRITE: dict[str, Callable[[Writer, Any], list[Object]]] = {
    "text": Writer.text,
    "thinking": Writer.thinking,
    "signature": Writer.signature,
    "redacted": Writer.redacted,
    "citation": Writer.citation,
}


class _Call:
    """A tool call that is being told, and all of its arguments so far."""

    __slots__ = ("call_id", "done", "name", "parts")

    def __init__(self, call_id: str) -> None:
        self.call_id, self.name, self.done = call_id, "", False
        self.parts: list[str] = []

    def whole(self) -> bool:
        """Whether the arguments are a JSON object that has ended."""
        if not self.parts or not self.parts[-1].rstrip().endswith("}"):
            return False
        return parsed_input("".join(self.parts)) is not None


class Stream:
    """One stream."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._writer = Writer(f"msg_{ask.request_id}", ask.model)
        self._usage: Mapping[str, Any] | None = None
        self._choice: Mapping[str, Any] | None = None
        self._calls: dict[int, _Call] = {}
        self._count = 0
        self._live: _Call | None = None
        self._waiting: list[_Call] = []
        self._late: list[tuple[str, Any]] = []
        self._words: list[str] = []
        self._refused: list[str] = []

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The events for one chunk."""
        try:
            return self._chunk(event)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"no chunk of a chat completion: {type(fault).__name__}") from None

    def end(self) -> list[Object]:
        """The end of the message with its usage; ValueError where it never ended."""
        if self._choice is None:
            raise ValueError("the stream ended before its answer did")
        reason, sequence, details = stop_of(
            self._choice, calls=bool(self._count), refused="".join(self._refused)
        )
        usage = usage_of(self._usage)
        return self._writer.stop(reason, usage, stop_sequence=sequence, stop_details=details)

    def _chunk(self, chunk: Mapping[str, Any]) -> list[Object]:
        writer = self._writer
        events = [] if writer.started else writer.start(message_id=chunk.get("id") or "")
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        for choice in chunk["choices"]:
            if choice.get("index") or self._choice is not None:
                continue
            delta = choice.get("delta")
            if delta:
                events += self._delta(delta)
            if choice.get("finish_reason"):
                events += self._finish()
                self._choice = choice
        return events

    def _delta(self, delta: Mapping[str, Any]) -> list[Object]:
        events: list[Object] = []
        reasoning = reasoning_of(delta)
        if reasoning:
            events += self._write("thinking", reasoning)
        for block in delta.get("thinking_blocks") or ():
            events += self._thinking_block(block, told=bool(reasoning))
        words = delta.get("content")
        if words:
            self._words.append(words)
            events += self._write("text", words)
        refused = delta.get("refusal")
        if refused:
            self._refused.append(refused)
            events += self._write("text", refused)
        for piece in delta.get("tool_calls") or ():
            events += self._piece(piece)
        old = delta.get("function_call")
        if old:
            events += self._piece({"index": 0, "function": old})
        for annotation in delta.get("annotations") or ():
            source = citation(annotation, "".join(self._words))
            if source is not None:
                events += self._write("citation", source)
        return events

    def _write(self, kind: str, given: Any) -> list[Object]:
        """Anything but a tool call, unless one is still being told: then it comes behind that."""
        events: list[Object] = []
        if self._live is not None or self._waiting:
            if not self._all_whole():
                self._late.append((kind, given))
                return []
            events = self._advance(ending=True)
        return events + _WRITE[kind](self._writer, given)

    def _thinking_block(self, block: Mapping[str, Any], *, told: bool) -> list[Object]:
        """A whole block after its text was told, or a part of one beside its text: the text is never told twice."""
        if block["type"] == "redacted_thinking":
            return self._write("redacted", block["data"])
        events: list[Object] = []
        if block.get("thinking") and not told and self._writer.open != "thinking":
            events += self._write("thinking", block["thinking"])
        if block.get("signature"):
            events += self._write("signature", block["signature"])
        return events

    def _piece(self, piece: Mapping[str, Any]) -> list[Object]:
        call = self._call_of(piece)
        function = piece.get("function") or {}
        call.name = call.name or function.get("name") or ""
        given = function.get("arguments")
        words = arguments(given) if isinstance(given, dict) else given or ""
        if call.done:
            if words.strip():
                raise ValueError("arguments of a tool call that had ended")
            return []
        if words:
            call.parts.append(words)
        if call is not self._live:
            return self._advance()
        events = self._writer.tool_input(words)
        return events + self._advance() if self._waiting else events

    def _call_of(self, piece: Mapping[str, Any]) -> _Call:
        """The call that a piece belongs to; some servers give every call the same index and only another id."""
        index, call_id = piece.get("index"), piece.get("id") or ""
        if not isinstance(index, int):
            index = self._count if call_id or not self._count else self._count - 1
        call = self._calls.get(index)
        if call is None or (call_id and call_id != call.call_id and call.name):
            call = _Call(call_id or f"toolu_{self._ask.request_id}_{self._count}")
            self._calls[index] = call
            self._count += 1
            self._waiting.append(call)
        return call

    def _all_whole(self) -> bool:
        calls = [*([self._live] if self._live is not None else []), *self._waiting]
        return all(call.whole() for call in calls)

    def _advance(self, *, ending: bool = False) -> list[Object]:
        """End calls that are whole and begin those that wait for them; all of them when the answer ends."""
        events: list[Object] = []
        while self._live is not None or self._waiting:
            if self._live is not None:
                if not ending and not (self._waiting and self._live.whole()):
                    break
                events += self._writer.close()
                self._live.done, self._live = True, None
            elif self._waiting[0].name or ending:
                self._live = self._waiting.pop(0)
                events += self._writer.tool(self._live.call_id, self._live.name)
                events += self._writer.tool_input("".join(self._live.parts))
            else:
                break
        return events

    def _finish(self) -> list[Object]:
        events = self._advance(ending=True)
        for kind, given in self._late:
            events += self._write(kind, given)
        self._late.clear()
        return events + self._writer.close()

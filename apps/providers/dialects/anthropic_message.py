# SPDX-License-Identifier: Apache-2.0
"""Anthropic's answers as a translation writes them: the whole message, and the events of a stream.

A `Writer` keeps the rules of a stream: one start and one stop, blocks one after the other with their own numbers.
"""

from typing import Any

from apps.providers.dialects.anthropic_blocks import UNSIGNED, Object, arguments


def usage(
    *, fresh: int = 0, cache_read: int = 0, cache_write: int = 0, output: int = 0, thinking: int | None = None
) -> Object:
    """A `usage` object; `fresh` is the prompt without what the cache had, `output` includes thinking."""
    found: Object = {
        "input_tokens": max(0, fresh),
        "output_tokens": max(0, output),
        "cache_read_input_tokens": max(0, cache_read),
        "cache_creation_input_tokens": max(0, cache_write),
    }
    if thinking is not None:
        found["output_tokens_details"] = {"thinking_tokens": max(0, thinking)}
    return found


def refusal(explanation: str) -> Object:
    """`stop_details` of an answer that was refused."""
    return {"type": "refusal", "category": None, "explanation": explanation or None}


def message(
    *,
    message_id: str,
    model: str,
    content: list[Object],
    stop_reason: str | None,
    usage: Object,
    stop_sequence: str | None = None,
    stop_details: Object | None = None,
) -> Object:
    """A whole message."""
    found: Object = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": usage,
    }
    return {**found, "stop_details": stop_details} if stop_details is not None else found


class Writer:
    """Writes the events of one stream; every call gives the events to send now."""

    def __init__(self, message_id: str, model: str) -> None:
        self._id, self._model = message_id, model
        self._index = -1
        self._open = ""
        self._signed = False
        self.started = False
        self.stopped = False

    @property
    def open(self) -> str:
        """The type of the block that is being written; empty between blocks."""
        return self._open

    def start(self, usage_so_far: Object | None = None, message_id: str = "") -> list[Object]:
        """`message_start`, once; later calls give nothing."""
        if self.started:
            return []
        self.started = True
        head = message(
            message_id=message_id or self._id,
            model=self._model,
            content=[],
            stop_reason=None,
            usage=usage_so_far or usage(),
        )
        return [{"type": "message_start", "message": head}]

    def text(self, words: str) -> list[Object]:
        """Text; goes on in an open text block."""
        events = self._begin("text", {"type": "text", "text": ""})
        events.append(self._delta({"type": "text_delta", "text": words}))
        return events

    def citation(self, citation: Object) -> list[Object]:
        """A source of the text that is being written."""
        events = self._begin("text", {"type": "text", "text": ""})
        events.append(self._delta({"type": "citations_delta", "citation": citation}))
        return events

    def thinking(self, words: str) -> list[Object]:
        """Thinking; goes on in an open block unless that is signed already."""
        events = self._signed_off() if self._signed else []
        events += self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if words:
            events.append(self._delta({"type": "thinking_delta", "thinking": words}))
        return events

    def signature(self, signature: str) -> list[Object]:
        """The signature of the thinking that is being written."""
        events = self.thinking("") if self._open != "thinking" else []
        self._signed = True
        events.append(self._delta({"type": "signature_delta", "signature": signature}))
        return events

    def redacted(self, data: str) -> list[Object]:
        """A whole block of thinking that only the provider can read."""
        return [
            *self.close(),
            *self._begin("redacted_thinking", {"type": "redacted_thinking", "data": data}),
            *self.close(),
        ]

    def tool(self, call_id: str, name: str) -> list[Object]:
        """Begin a call of a tool."""
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        return [*self.close(), *self._begin("tool_use", block)]

    def tool_input(self, part: str | Object) -> list[Object]:
        """A part of the input (JSON text) of the call that is being written, or all of it as an object."""
        words = part if isinstance(part, str) else arguments(part)
        return [self._delta({"type": "input_json_delta", "partial_json": words})] if words else []

    def close(self) -> list[Object]:
        """End the open block; thinking that no provider signed says so."""
        if not self._open:
            return []
        events = []
        if self._open == "thinking" and not self._signed:
            events.append(self._delta({"type": "signature_delta", "signature": UNSIGNED}))
        events.append({"type": "content_block_stop", "index": self._index})
        self._open, self._signed = "", False
        return events

    def stop(
        self,
        stop_reason: str,
        whole_usage: Object,
        *,
        stop_sequence: str | None = None,
        stop_details: Object | None = None,
    ) -> list[Object]:
        """Whatever is open is ended, then `message_delta` and `message_stop`, once."""
        if self.stopped:
            return []
        events = [*self.start(), *self.close()]
        self.stopped = True
        delta: dict[str, Any] = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        if stop_details is not None:
            delta["stop_details"] = stop_details
        events.append({"type": "message_delta", "delta": delta, "usage": whole_usage})
        events.append({"type": "message_stop"})
        return events

    def _begin(self, kind: str, block: Object) -> list[Object]:
        if self._open == kind:
            return []
        events = self.close()
        self._index += 1
        self._open = kind
        events.append({"type": "content_block_start", "index": self._index, "content_block": block})
        return events

    def _signed_off(self) -> list[Object]:
        return self.close() if self._open == "thinking" else []

    def _delta(self, delta: Object) -> Object:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

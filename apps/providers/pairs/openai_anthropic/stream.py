# SPDX-License-Identifier: Apache-2.0
"""The events of an Anthropic stream as chunks of a chat completion.

Thinking comes as `reasoning_content` while it is thought; each block once more in `thinking_blocks` when it is whole
and signed, with an `index` as OpenAI's clients want it in lists.
"""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects import anthropic_usage
from apps.providers.dialects.anthropic_blocks import JSON_TOOL, arguments
from apps.providers.pairs.openai_anthropic.answer import (
    annotation,
    finish_reason,
    refusal_of,
    tier_of,
    usage_of,
)
from apps.providers.pairs.pair import Ask, Object


class _Block:
    """A block that is being told: its kind, and what has come of it."""

    __slots__ = ("citations", "given", "index", "kind", "parts", "signature", "start")

    def __init__(self, kind: str, index: int, start: int, given: Object) -> None:
        self.kind, self.index, self.start, self.given = kind, index, start, given
        self.parts: list[str] = []
        self.citations: list[Object] = list(given.get("citations") or ())
        self.signature: str = given.get("signature") or ""


class Stream:
    """One stream."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._head: Object = {
            "id": f"chatcmpl-{ask.request_id}",
            "object": "chat.completion.chunk",
            "created": ask.created,
            "model": ask.model,
        }
        self._blocks: dict[int, _Block] = {}
        self._usage: Object = {}
        self._calls = self._thoughts = self._sources = self._others = self._length = 0
        self._started = self._finished = self._told = self._json_object = False

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The chunks for one event; events that say nothing to OpenAI's clients give none."""
        take = _TAKE.get(event.get("type") or "")
        if take is None:
            return []
        try:
            return take(self, event)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"no event of Anthropic: {type(fault).__name__}") from None

    def end(self) -> list[Object]:
        """The usage where it was not told yet; ValueError where the message never ended."""
        if not self._finished:
            raise ValueError("the stream ended before its message did")
        return self._last()

    def _start(self, event: Mapping[str, Any]) -> list[Object]:
        if self._started:
            return []
        self._started = True
        message = event["message"]
        self._usage = dict(message.get("usage") or {})
        self._head |= {"id": message.get("id") or self._head["id"], **tier_of(self._usage)}
        if self._ask.include_usage:
            self._head["usage"] = None
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _begin(self, event: Mapping[str, Any]) -> list[Object]:
        given = event["content_block"]
        kind = given["type"]
        if kind == "tool_use" and given["name"] == JSON_TOOL:
            kind, self._json_object = "json", True
        block = self._blocks[event["index"]] = _Block(kind, self._calls, self._length, given)
        if kind == "tool_use":
            self._calls += 1
            function = {"name": given["name"], "arguments": ""}
            call = {"index": block.index, "id": given["id"], "type": "function", "function": function}
            return [self._chunk({"tool_calls": [call]})]
        if kind == "redacted_thinking":
            return [self._thought({"type": "redacted_thinking", "data": given["data"]})]
        if kind == "text" and given.get("text"):
            return [self._text(given["text"])]
        if kind == "thinking" and given.get("thinking"):
            return [self._reasoning(block, given["thinking"])]
        return []

    def _delta(self, event: Mapping[str, Any]) -> list[Object]:
        delta = event["delta"]
        block = self._blocks[event["index"]]
        kind = delta["type"]
        if kind == "text_delta":
            return [self._text(delta["text"])]
        if kind == "input_json_delta":
            return self._input(block, delta["partial_json"])
        if kind == "thinking_delta":
            return [self._reasoning(block, delta["thinking"])]
        if kind == "signature_delta":
            block.signature = delta["signature"]
        elif kind == "citations_delta":
            block.citations.append(delta["citation"])
        return []

    def _end_block(self, event: Mapping[str, Any]) -> list[Object]:
        block = self._blocks.pop(event["index"])
        if block.kind in {"tool_use", "json"} and not block.parts:
            return self._input(block, arguments(block.given.get("input") or {}))
        if block.kind == "thinking":
            words = "".join(block.parts)
            return [self._thought({"type": "thinking", "thinking": words, "signature": block.signature})]
        return [self._citation(block, citation) for citation in block.citations]

    def _stop(self, event: Mapping[str, Any]) -> list[Object]:
        self._usage = anthropic_usage.merged(self._usage, event.get("usage"))
        delta = event["delta"]
        reason = delta.get("stop_reason")
        if reason is None or self._finished:
            return []
        self._finished = True
        refusal = refusal_of(delta)
        told = [] if refusal is None else [self._chunk({"refusal": refusal})]
        return [*told, self._chunk({}, finish_reason(reason, json_object=self._json_object))]

    def _last(self, _event: Mapping[str, Any] | None = None) -> list[Object]:
        if self._told or not self._finished or not self._ask.include_usage:
            return []
        self._told = True
        return [{**self._head, "choices": [], "usage": usage_of(self._usage)}]

    def _input(self, block: _Block, words: str) -> list[Object]:
        if not words:
            return []
        block.parts.append(words)
        if block.kind == "json":
            return [self._text(words)]
        if block.kind != "tool_use":
            # The input of a tool that the provider runs itself.
            return []
        return [self._chunk({"tool_calls": [{"index": block.index, "function": {"arguments": words}}]})]

    def _text(self, words: str) -> Object:
        self._length += len(words)
        return self._chunk({"content": words})

    def _reasoning(self, block: _Block, words: str) -> Object:
        block.parts.append(words)
        return self._chunk({"reasoning_content": words})

    def _thought(self, block: Object) -> Object:
        self._thoughts += 1
        return self._chunk({"thinking_blocks": [{"index": self._thoughts - 1, **block}]})

    def _citation(self, block: _Block, citation: Mapping[str, Any]) -> Object:
        """A source of the whole block: it may have come before the text that it belongs to."""
        found = annotation(citation, block.start, self._length)
        if found is None:
            self._others += 1
            return self._chunk({"citations": [{"index": self._others - 1, **citation}]})
        self._sources += 1
        return self._chunk({"annotations": [{"index": self._sources - 1, **found}]})

    def _chunk(self, delta: Object, finish: str | None = None) -> Object:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head, "choices": [choice]}


_TAKE: dict[str, Callable[[Stream, Mapping[str, Any]], list[Object]]] = {
    "message_start": Stream._start,
    "content_block_start": Stream._begin,
    "content_block_delta": Stream._delta,
    "content_block_stop": Stream._end_block,
    "message_delta": Stream._stop,
    "message_stop": Stream._last,
}

# SPDX-License-Identifier: Apache-2.0
"""An Anthropic stream as chunks of a GenerateContentResponse.

Text and thoughts are told as they come, a call of a function when it is whole: Gemini has no other form.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_usage
from apps.providers.dialects.anthropic_blocks import JSON_TOOL, input_or_broken
from apps.providers.pairs.gemini_anthropic.answer import Parts, finish, usage_of
from apps.providers.pairs.pair import Ask, Object


class Chunks:
    """The translation of one stream."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._head: Object = {"modelVersion": ask.model, "responseId": ask.request_id}
        self._parts = Parts()
        self._usage: dict[str, Any] = {}
        self._delta: Mapping[str, Any] | None = None
        self._over = False
        # The block that is being told, and what has come of it.
        self._block: dict[str, Any] = {}
        self._words: list[str] = []

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The chunks for one event."""
        try:
            return self._chunks(event)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"not an event of Anthropic: {type(fault).__name__}") from None

    def end(self) -> list[Object]:
        """The last chunk; ValueError where the provider never said why the answer ended."""
        if self._over:
            return []
        if self._delta is None or not self._delta.get("stop_reason"):
            raise ValueError("the stream ended without a stop reason")
        self._over = True
        candidate = finish(self._delta)
        rest = self._parts.rest()
        if rest or candidate["finishReason"] in {"STOP", "MAX_TOKENS"}:
            candidate["content"] = {"role": "model", "parts": rest or [{"text": ""}]}
        candidate |= self._parts.sources()
        return [{**self._head, "candidates": [candidate], "usageMetadata": usage_of(self._usage)}]

    def _chunks(self, event: Mapping[str, Any]) -> list[Object]:
        kind = event["type"]
        if kind == "content_block_delta":
            return self._took(event["delta"])
        if kind == "content_block_start":
            self._block, self._words = dict(event["content_block"]), []
            words = self._block.get("text") if self._block["type"] == "text" else ""
            return self._told(self._parts.text(words)) if words else []
        if kind == "content_block_stop":
            return self._whole()
        if kind == "message_start":
            message = event["message"]
            self._usage = anthropic_usage.merged({}, message.get("usage"))
            self._head["responseId"] = message.get("id") or self._ask.request_id
        elif kind == "message_delta":
            self._usage = anthropic_usage.merged(self._usage, event.get("usage"))
            self._delta = event["delta"]
        return self.end() if kind == "message_stop" else []

    def _took(self, delta: Mapping[str, Any]) -> list[Object]:
        kind = delta["type"]
        if kind == "text_delta":
            return self._told(self._parts.text(delta["text"]))
        if kind == "thinking_delta":
            self._words.append(delta["thinking"])
            return self._told([{"text": delta["thinking"], "thought": True}] if delta["thinking"] else [])
        if kind == "input_json_delta":
            if self._block.get("name") == JSON_TOOL:
                return self._told(self._parts.text(delta["partial_json"]))
            self._words.append(delta["partial_json"])
        elif kind == "signature_delta":
            self._block["signature"] = delta["signature"]
        elif kind == "citations_delta":
            self._parts.cite(delta["citation"])
        return []

    def _whole(self) -> list[Object]:
        """The parts that only a block's end brings."""
        block, self._block = self._block, {}
        kind = block["type"]
        if kind == "text":
            self._parts.close_text()
            return []
        if kind == "thinking":
            block["thinking"] += "".join(self._words)
            self._parts.pending.append(block)
            return []
        if kind in {"tool_use", "server_tool_use"} and self._words:
            block["input"] = input_or_broken("".join(self._words))
        return [] if block.get("name") == JSON_TOOL else self._told(self._parts.block(block))

    def _told(self, parts: list[Object]) -> list[Object]:
        if not parts:
            return []
        return [{**self._head, "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]}]

# SPDX-License-Identifier: Apache-2.0
"""What has to be known of a stream of Anthropic events, and the message they amount to."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.gateway.surfaces.anthropic_texts import CALLS
from apps.gateway.surfaces.surface import FILTERED, LENGTH, STOP, TOOLS, Object
from apps.providers.dialects.anthropic_blocks import input_or_broken
from apps.providers.dialects.anthropic_usage import merged

MOST_CHARS = 1_000_000
_REASONS = {
    "end_turn": STOP,
    "stop_sequence": STOP,
    "pause_turn": STOP,
    "max_tokens": LENGTH,
    "model_context_window_exceeded": LENGTH,
    "tool_use": TOOLS,
    "refusal": FILTERED,
}
# The text that each kind of delta brings, and the member of its block that grows by it.
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_encode = msgspec.json.Encoder().encode


def reason_of(message: Mapping[str, Any]) -> str:
    """How a message ended, in the words of records; a reason that is new stays as it is."""
    reason = message.get("stop_reason")
    return _REASONS.get(str(reason), str(reason)) if reason else ""


class AnthropicTape:
    """The tape of one stream."""

    def __init__(self, *, keep: bool) -> None:
        self.finish_reason = ""
        self.chars = 0
        self._keep = keep
        self._message: Object = {}
        self._blocks: dict[int, Object] = {}
        self._inputs: dict[int, list[str]] = {}
        self._size = 0

    def take(self, event: Object) -> bool:
        """Note an event; True for `message_stop`, which ends the stream."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self._delta(event.get("index") or 0, event.get("delta"))
        elif kind == "content_block_start":
            self._start(event.get("index") or 0, event.get("content_block"))
        elif kind == "message_delta":
            self._end(event)
        elif kind == "message_start" and isinstance(event.get("message"), dict) and self._keep:
            self._message = dict(event["message"])
        return kind == "message_stop"

    def usage_event(self) -> Object | None:
        """None: usage comes with every stream, asked for or not."""
        return None

    def whole(self) -> bytes:
        """The message as JSON; empty where it is not kept or grew past the bound."""
        if not self._keep or not self._message or self._size > MOST_CHARS:
            return b""
        for index, pieces in self._inputs.items():
            if words := "".join(pieces):
                self._blocks[index]["input"] = input_or_broken(words)
        return _encode({**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]})

    def _start(self, index: int, block: Any) -> None:
        if not isinstance(block, dict):
            return
        for name in ("text", "thinking"):
            if isinstance(block.get(name), str):
                self.chars += len(block[name])
        if block.get("type") in CALLS and block.get("input"):
            self.chars += len(_encode(block["input"]))
        if self._grown(len(_encode(block)) if self._keep else 0):
            self._blocks[index] = dict(block)

    def _delta(self, index: int, delta: Any) -> None:
        if not isinstance(delta, dict):
            return
        kind = delta.get("type")
        name = _TEXTS.get(str(kind))
        text = delta.get(name) if name else None
        if isinstance(text, str):
            self.chars += len(text)
        if not self._keep or not self._grown(len(text) if isinstance(text, str) else len(_encode(delta))):
            return
        block = self._blocks.setdefault(index, {})
        if kind == "input_json_delta":
            self._inputs.setdefault(index, []).append(text or "")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        else:
            for member, value in delta.items():
                if member == "type":
                    continue
                known = block.get(member)
                both = isinstance(known, str) and isinstance(value, str)
                block[member] = known + value if both else value

    def _end(self, event: Object) -> None:
        delta = event.get("delta")
        found = delta if isinstance(delta, dict) else {}
        self.finish_reason = self.finish_reason or reason_of(found)
        if self._keep:
            more = {name: value for name, value in event.items() if name not in {"type", "delta", "usage"}}
            usage = {"usage": merged(self._message.get("usage") or {}, event.get("usage"))}
            self._message = {**self._message, **found, **more, **usage}

    def _grown(self, size: int) -> bool:
        self._size += size
        return self._keep and self._size <= MOST_CHARS

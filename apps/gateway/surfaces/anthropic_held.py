# SPDX-License-Identifier: Apache-2.0
"""Anthropic's events with their texts held back: each text of each block grows on a channel of its own.

A signature waits for the end of its block. Where the thinking above it did not leave as it came, the signature would no
longer verify, so `UNSIGNED` stands in its place: the gateway knows such a block again and keeps it away from Anthropic.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from apps.gateway.surfaces.anthropic_texts import CALLS, view
from apps.gateway.surfaces.holding import Channel, Holding
from apps.gateway.surfaces.reading import without
from apps.gateway.surfaces.surface import Object
from apps.policies.stream import StreamReview
from apps.providers.dialects.anthropic_blocks import UNSIGNED
from apps.providers.dialects.anthropic_message import message, refusal
from apps.providers.dialects.anthropic_usage import merged

_MOST_SIGNATURE = 1_000_000
_MOST_INDEX = 1_000_000
_KNOWN = frozenset({"text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta"})
_OUTER = frozenset({"type", "index", "content_block", "delta", "usage"})


class _Block:
    """An open block: its texts by the type and member of their deltas, and the signature that waits."""

    __slots__ = ("channels", "kind", "signature")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.channels: dict[tuple[str, str], Channel] = {}
        self.signature = ""


class AnthropicHeld(Holding):
    """The hold-back over one stream."""

    @override
    def __init__(self, review: StreamReview) -> None:
        super().__init__(review)
        self._blocks: dict[int, _Block] = {}
        self._usage: Mapping[str, Any] = {}
        self._model = ""
        self._started = False

    def pass_on(self, event: Object) -> list[Object]:
        """The events to send for one that came; a block that ends gets what is held for it before its end."""
        kind, index = event.get("type"), _index(event)
        if kind == "content_block_delta":
            return self._delta(index, event)
        if kind == "content_block_start":
            return self._start(index, event)
        if kind == "content_block_stop":
            before = self._close(index)
        elif kind == "message_start":
            return self._begin(event)
        else:
            before = [one for open_index in list(self._blocks) for one in self._end(open_index)]
            if kind == "message_delta":
                self._usage = merged(self._usage, event.get("usage"))
        if self._review.blocked is not None or not self._sweep(without(event, {"usage"})):
            return before
        return [*before, event]

    def filtered(self, reason: str) -> list[Object]:
        """The open block ends, and the message with it, as one that was refused."""
        events: list[Object] = []
        if not self._started:
            head = message(
                message_id="msg_filtered",
                model=self._model,
                content=[],
                stop_reason=None,
                usage=dict(self._usage),
            )
            events.append({"type": "message_start", "message": head})
        for index, block in self._blocks.items():
            if block.kind == "thinking":
                events.append(_delta_event(index, "signature_delta", "signature", UNSIGNED))
            events.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": refusal(reason)}
        end = {
            "type": "message_delta",
            "delta": delta,
            "usage": {"output_tokens": 0, **self._usage},
            "smartflow": {"code": "policy_blocked", "message": reason},
        }
        return [*events, end, {"type": "message_stop"}]

    def _begin(self, event: Object) -> list[Object]:
        head = event.get("message")
        if isinstance(head, dict):
            self._usage = merged({}, head.get("usage"))
            self._model = str(head.get("model") or "")
            if not self._sweep(without(head, {"usage", "model"})):
                return []
        if not self._sweep(without(event, {"message"})):
            return []
        self._started = True
        return [event]

    def _start(self, index: int, event: Object) -> list[Object]:
        given = event.get("content_block")
        if not isinstance(given, dict):
            return [event] if self._sweep(event) else []
        kind = str(given.get("type") or "")
        beginning = kind in {"text", "thinking"}
        texts = {
            name
            for name in ("text", "thinking", "signature")
            if beginning and isinstance(given.get(name), str)
        }
        seen = view(given, "assistant")[0] if kind in CALLS else without(given, texts)
        if not self._sweep(seen) or not self._sweep(without(event, _OUTER)):
            return []
        block = self._blocks[index] = _Block(kind)
        for name in sorted(texts):
            if name == "signature":
                block.signature, given[name] = given[name], ""
            else:
                given[name] = self._through(index, block, f"{name}_delta", name, given[name])
        return [event]

    def _delta(self, index: int, event: Object) -> list[Object]:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return [event] if self._sweep(event) else []
        block = self._blocks.setdefault(index, _Block(""))
        kind = str(delta.get("type") or "")
        if kind == "signature_delta" and isinstance(delta.get("signature"), str):
            block.signature += delta.pop("signature")
            if len(block.signature) > _MOST_SIGNATURE:
                raise ValueError("a signature is too long")
        texts = [name for name, value in delta.items() if name != "type" and isinstance(value, str)]
        rest = without(delta, {*texts, "type"} if kind in _KNOWN else texts)
        if not self._sweep(rest) or not self._sweep(without(event, _OUTER)):
            return []
        kind = str(delta.get("type") or "")
        told = bool(rest.keys() - {"type"})
        for name in texts:
            delta[name] = self._through(index, block, kind, name, delta[name])
            told = told or bool(delta[name])
        return [event] if told else []

    def _through(self, index: int, block: _Block, kind: str, name: str, text: str) -> str:
        channel = block.channels.get((kind, name))
        if channel is None:
            mark = {"partial_json": "tool:", "thinking": ":reasoning"}.get(name, "")
            place = f"{kind}.{name}"
            whole = f"{index}:{mark}{place}" if mark == "tool:" else f"{index}:{place}{mark}"
            channel = block.channels[kind, name] = Channel(self._review, whole)
        released = channel.feed(text)
        self.delivered += len(released)
        return released

    def _end(self, index: int) -> list[Object]:
        """The end of a block that the provider left open."""
        before = self._close(index)
        if self._review.blocked is None:
            before.append({"type": "content_block_stop", "index": index})
        return before

    def _close(self, index: int) -> list[Object]:
        """What is held for a block leaves; it stays open where that is stopped."""
        block = self._blocks.get(index)
        if block is None:
            return []
        events: list[Object] = []
        for (kind, name), channel in block.channels.items():
            if rest := channel.flush():
                self.delivered += len(rest)
                events.append(_delta_event(index, kind, name, rest))
            if self._review.blocked is not None:
                return events
        if block.signature:
            signature = self._signed(block)
            if self._review.blocked is not None:
                return events
            events.append(_delta_event(index, "signature_delta", "signature", signature))
        del self._blocks[index]
        return events

    def _signed(self, block: _Block) -> str:
        if any(channel.rewritten for channel in block.channels.values()):
            return UNSIGNED
        return block.signature if self._whole(block.signature) == block.signature else UNSIGNED


def _index(event: Object) -> int:
    index = event.get("index", 0)
    if type(index) is not int or not 0 <= index <= _MOST_INDEX:
        raise ValueError("the number of a block is none")
    return index


def _delta_event(index: int, kind: str, name: str, text: str) -> Object:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}

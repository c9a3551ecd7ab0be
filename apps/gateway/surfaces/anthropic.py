# SPDX-License-Identifier: Apache-2.0
"""Anthropic Messages as clients speak it (platform.claude.com/docs/en/api/messages)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.cache import stage as cache
from apps.core.outcome import Refuse
from apps.core.sse import event as sse_event
from apps.gateway.surfaces import anthropic_error, anthropic_texts
from apps.gateway.surfaces.anthropic_held import AnthropicHeld
from apps.gateway.surfaces.anthropic_replay import events_of
from apps.gateway.surfaces.anthropic_tape import AnthropicTape, reason_of
from apps.gateway.surfaces.reading import MOST_NAME, MOST_TOKENS, parsed, wrong
from apps.gateway.surfaces.surface import ChatRequest, Held, Object, Surface, Tape
from apps.policies.stream import StreamReview

_DELIVERY = frozenset({"stream", "metadata"})
# What makes an answer depend on more than its request.
_BEYOND = ("tools", "mcp_servers", "container")
_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct, kw_only=True):
    """The fields we act on, also where tokens are only counted; their types are Anthropic's."""

    model: str
    messages: list[Any]
    system: str | list[Any] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Any] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _Acted(_Counted, kw_only=True):
    """What an answer needs beside."""

    max_tokens: int


class AnthropicSurface:
    """The dialect as calls without state."""

    name = "anthropic"
    kind = "chat"
    ending = b""
    # The dialect's own; its clients pass over comments as well.
    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request; model and form are told by the body."""
        return parsed(body, lambda fields: _request(fields, len(body)))

    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """Nothing to do: a request without `max_tokens` is none."""
        if request.output_limit is None:
            request.fields["max_tokens"] = tokens

    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """No tools, no thinking, and not sampled on purpose unless `exact` or `only` is asked for."""
        if any(fields.get(name) for name in _BEYOND):
            return False
        thinking = fields.get("thinking")
        if isinstance(thinking, dict) and thinking.get("type") != "disabled":
            return False
        return cache.wanted(mode, sampled=bool(fields.get("temperature")))

    def delivery(self) -> frozenset[str]:
        """`stream`, and `metadata`, which says who asks."""
        return _DELIVERY

    def texts(self, answer: Object) -> list[Any]:
        """The blocks, and what is said about the end."""
        return anthropic_texts.of_answer(answer)

    def finish_reason(self, answer: Object) -> str:
        """`stop_reason` in the words of records."""
        return reason_of(answer)

    def scrub(self, answer: Object) -> None:
        """Nothing to do: signatures go with the thinking that is rewritten, and nothing else tells an original."""

    def frame(self, event: Object) -> bytes:
        """An event under the name of its type."""
        return sse_event(_encode(event), str(event.get("type") or "").encode())

    def tape(self, *, keep: bool) -> Tape:
        """A fresh tape."""
        return AnthropicTape(keep=keep)

    def held(self, review: StreamReview) -> Held:
        """A fresh hold-back."""
        return AnthropicHeld(review)

    def replay(self, answer: Object) -> list[Object]:
        """A whole message as the events of a stream."""
        return events_of(answer)

    def error(self, refusal: Refuse, request_id: str) -> bytes:
        """Anthropic's error shape."""
        return anthropic_error.body(refusal, request_id)

    def error_event(self, refusal: Refuse, request_id: str) -> bytes:
        """An `error` event."""
        return sse_event(anthropic_error.body(refusal, request_id), b"error")


def _request(fields: Object, size: int) -> ChatRequest | Refuse:
    acted = msgspec.convert(fields, _Acted)
    # 0 fills the provider's cache and answers nothing.
    if not 0 <= acted.max_tokens <= MOST_TOKENS:
        return wrong("max_tokens", "must be a whole number, 0 or more")
    return _checked(acted, fields, acted.max_tokens, size)


def counted(fields: Object, size: int) -> ChatRequest | Refuse:
    """A request whose tokens are counted: one without `max_tokens`, that nobody answers."""
    return _checked(msgspec.convert(fields, _Counted), fields, None, size)


def _checked(acted: _Counted, fields: Object, limit: int | None, size: int) -> ChatRequest | Refuse:
    if not acted.model or len(acted.model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    if acted.temperature is not None and not 0 <= acted.temperature <= 1:
        return wrong("temperature", "must be from 0 to 1")
    if not acted.messages:
        return wrong("messages", "must hold at least one message")
    for number, message in enumerate(acted.messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return wrong(f"messages.{number}", "must be an object with a `role`")
        if not isinstance(message.get("content"), (str, list)):
            return wrong(f"messages.{number}.content", "must be a text or a list of blocks")
    slots = anthropic_texts.of_request(fields)
    return ChatRequest(acted.model, fields, slots, bool(acted.stream), True, limit, 1, size)


SURFACE: Surface = AnthropicSurface()

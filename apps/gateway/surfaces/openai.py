# SPDX-License-Identifier: Apache-2.0
"""OpenAI Chat Completions as clients speak it (platform.openai.com/docs/api-reference/chat)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.cache import stage as cache
from apps.core.errors import openai_body
from apps.core.outcome import Refuse
from apps.core.sse import DONE, KEEP_ALIVE, event
from apps.gateway.surfaces.openai_held import OpenAIHeld
from apps.gateway.surfaces.openai_tape import OpenAITape, chunks_of
from apps.gateway.surfaces.reading import MOST_NAME, MOST_TOKENS, parsed, wrong
from apps.gateway.surfaces.surface import ChatRequest, Held, Object, Surface, Tape
from apps.gateway.texts import Slot, collect, collect_field, collect_messages
from apps.policies.stream import StreamReview

# The provider never sees the one, the other is read message by message.
_ELSEWHERE = {"model", "messages"}
_DELIVERY = frozenset({"stream", "stream_options", "user", "metadata", "store"})
_encode = msgspec.json.Encoder().encode


class _Acted(msgspec.Struct):
    """The fields we act on; their types are OpenAI's."""

    model: str
    messages: list[Any]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Any] | None = None


class OpenAI:
    """The dialect as calls without state."""

    name = "openai"
    kind = "chat"
    ending = event(DONE)
    keep_alive = KEEP_ALIVE

    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A chat request, or why it is none, naming the field; the body alone says model and form."""
        return parsed(body, lambda fields: _request(fields, len(body)))

    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """Hold the provider to a number of output tokens."""
        request.output_limit = request.fields["max_tokens"] = tokens

    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """One answer, no tools, nothing that is not text, and not sampled on purpose."""
        if fields.get("tools") or fields.get("functions") or fields.get("n") not in {None, 1}:
            return False
        if fields.get("logprobs") or fields.get("audio") or fields.get("modalities"):
            return False
        return cache.wanted(mode, sampled=bool(fields.get("temperature")))

    def delivery(self) -> frozenset[str]:
        """How the answer comes, and what the provider notes for itself."""
        return _DELIVERY

    def texts(self, answer: Object) -> list[Any]:
        """The message of each choice."""
        messages = [choice.get("message") for choice in answer["choices"]]
        return [message for message in messages if isinstance(message, (dict, list))]

    def finish_reason(self, answer: Object) -> str:
        """The first choice's own word: records speak OpenAI's."""
        choices = answer["choices"]
        return str(choices[0].get("finish_reason") or "") if choices else ""

    def scrub(self, answer: Object) -> None:
        """Log probabilities tell the replaced text token by token."""
        for choice in answer["choices"]:
            if choice.get("logprobs"):
                choice["logprobs"] = None

    def frame(self, event_: Object) -> bytes:
        """Data alone."""
        return b"data: " + _encode(event_) + b"\n\n"

    def tape(self, *, keep: bool) -> Tape:
        """A fresh tape."""
        return OpenAITape(keep=keep)

    def held(self, review: StreamReview) -> Held:
        """A fresh hold-back."""
        return OpenAIHeld(review)

    def replay(self, answer: Object) -> list[Object]:
        """The text of each choice in one chunk, its end in another, then the usage."""
        chunks, usage = chunks_of(answer)
        return [*chunks, usage] if usage else chunks

    def error(self, refusal: Refuse, request_id: str) -> bytes:
        """OpenAI's error shape."""
        return openai_body(refusal.code, refusal.message, refusal.param)

    def error_event(self, refusal: Refuse, request_id: str) -> bytes:
        """The same shape as an event."""
        return event(openai_body(refusal.code, refusal.message))


def _request(fields: Object, size: int) -> ChatRequest | Refuse:
    acted = msgspec.convert(fields, _Acted)
    slots: list[Slot] = []
    collect_messages(acted.messages, slots)
    for name, value in fields.items():
        if name in _ELSEWHERE:
            continue
        if isinstance(value, (dict, list)):
            collect(value, "document", slots)
        else:
            collect_field(fields, name, "document", slots)
    return _checked(acted, fields, slots, size)


def _checked(acted: _Acted, fields: Object, slots: list[Slot], size: int) -> ChatRequest | Refuse:
    limit = acted.max_completion_tokens if acted.max_completion_tokens is not None else acted.max_tokens
    name = "max_completion_tokens" if acted.max_completion_tokens is not None else "max_tokens"
    if not acted.model or len(acted.model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    if not acted.messages:
        return wrong("messages", "must hold at least one message")
    for number, message in enumerate(acted.messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return wrong(f"messages[{number}]", "must be an object with a `role`")
    if limit is not None and not 1 <= limit <= MOST_TOKENS:
        return wrong(name, "must be a whole number above 0")
    if acted.n is not None and not 1 <= acted.n <= 128:
        return wrong("n", "must be from 1 to 128")
    if acted.temperature is not None and not 0 <= acted.temperature <= 2:
        return wrong("temperature", "must be from 0 to 2")
    usage = bool(acted.stream_options and acted.stream_options.get("include_usage") is True)
    return ChatRequest(acted.model, fields, slots, bool(acted.stream), usage, limit, acted.n or 1, size)


SURFACE: Surface = OpenAI()

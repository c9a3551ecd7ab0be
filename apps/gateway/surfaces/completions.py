# SPDX-License-Identifier: Apache-2.0
"""OpenAI's older text completions as clients speak them (platform.openai.com/docs/api-reference/completions)."""

from typing import Any

import msgspec
from typing_extensions import override

from apps.core.outcome import Refuse
from apps.gateway.surfaces.completions_stream import TextHeld, TextTape, chunks_of
from apps.gateway.surfaces.openai import OpenAI
from apps.gateway.surfaces.reading import MOST_NAME, MOST_TOKENS, parsed, wrong
from apps.gateway.surfaces.surface import ChatRequest, Held, Object, Surface, Tape
from apps.gateway.texts import Slot, collect, collect_field
from apps.policies.stream import StreamReview
from apps.providers.pairs.completions import OUTPUT

_MOST_TEMPERATURE = 2
_MOST_CHOICES = 128


class _Acted(msgspec.Struct):
    """The fields we act on; their types are OpenAI's."""

    model: str
    prompt: str | list[Any]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None


class Completions(OpenAI):
    """Like OpenAI's chats, but for what is asked and said."""

    name = "openai-completions"

    @override
    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request for one text, or why it is none, naming the field."""
        return parsed(body, lambda fields: _request(fields, len(body)))

    @override
    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """Hold the provider to a number of output tokens."""
        request.output_limit = request.fields["max_tokens"] = tokens

    @override
    def texts(self, answer: Object) -> list[Any]:
        """The choices, which hold little else."""
        return list(answer["choices"])

    @override
    def scrub(self, answer: Object) -> None:
        """Nothing to do: there are no log probabilities."""

    @override
    def tape(self, *, keep: bool) -> Tape:
        """A fresh tape."""
        return TextTape(keep=keep)

    @override
    def held(self, review: StreamReview) -> Held:
        """A fresh hold-back."""
        return TextHeld(review)

    @override
    def replay(self, answer: Object) -> list[Object]:
        """Each choice in one chunk, then the usage."""
        return chunks_of(answer)


def _request(fields: Object, size: int) -> ChatRequest | Refuse:
    acted = msgspec.convert(fields, _Acted)
    slots: list[Slot] = []
    for name, value in fields.items():
        role = "user" if name == "prompt" else "document"
        if name == "model":
            continue
        if isinstance(value, (dict, list)):
            collect(value, role, slots)
        else:
            collect_field(fields, name, role, slots)
    return _checked(acted, fields, slots, size)


def _checked(acted: _Acted, fields: Object, slots: list[Slot], size: int) -> ChatRequest | Refuse:
    texts = acted.prompt if isinstance(acted.prompt, list) else [acted.prompt]
    if not acted.model or len(acted.model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    if any(not isinstance(text, str) for text in texts):
        return wrong("prompt", "must be text here: the numbers of tokens mean something to one model alone")
    if len(texts) != 1:
        return wrong("prompt", "must hold one text here: send a request for each of them")
    if not texts[0]:
        return wrong("prompt", "must not be empty")
    if acted.max_tokens is not None and not 1 <= acted.max_tokens <= MOST_TOKENS:
        return wrong("max_tokens", "must be a whole number above 0")
    if acted.n is not None and not 1 <= acted.n <= _MOST_CHOICES:
        return wrong("n", f"must be from 1 to {_MOST_CHOICES}")
    if acted.temperature is not None and not 0 <= acted.temperature <= _MOST_TEMPERATURE:
        return wrong("temperature", f"must be from 0 to {_MOST_TEMPERATURE}")
    usage = bool(acted.stream_options and acted.stream_options.get("include_usage") is True)
    limit = OUTPUT if acted.max_tokens is None else acted.max_tokens
    return ChatRequest(acted.model, fields, slots, bool(acted.stream), usage, limit, acted.n or 1, size)


SURFACE: Surface = Completions()

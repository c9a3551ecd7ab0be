# SPDX-License-Identifier: Apache-2.0
"""Gemini's generateContent as clients speak it (ai.google.dev/api/generate-content)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.cache import stage as cache
from apps.core.outcome import Refuse
from apps.core.sse import event as sse_event
from apps.gateway.surfaces import gemini_error, gemini_texts
from apps.gateway.surfaces.gemini_held import PROBABILITIES, GeminiHeld
from apps.gateway.surfaces.gemini_replay import events_of
from apps.gateway.surfaces.gemini_tape import GeminiTape, reason_of
from apps.gateway.surfaces.reading import MOST_NAME, MOST_TOKENS, parsed, wrong
from apps.gateway.surfaces.surface import ChatRequest, Held, Object, Surface, Tape
from apps.policies.stream import StreamReview
from apps.providers.dialects.gemini_parts import camel

_MOST_CANDIDATES = 128
_MOST_TEMPERATURE = 2
# What makes an answer depend on more than its request, or be more than text.
_BEYOND = ("tools", "cachedContent")
_UNUSUAL = ("responseLogprobs", "logprobs", "responseModalities", "speechConfig")
_EMPTY = ({"text": ""}, {"text": "", "thought": True})
_encode = msgspec.json.Encoder().encode


class _Generation(msgspec.Struct, rename="camel"):
    """The fields of `generationConfig` we act on."""

    max_output_tokens: int | None = None
    candidate_count: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    stop_sequences: list[str] | None = None


class _Acted(msgspec.Struct, rename="camel"):
    """The fields we act on; their types are Google's, and one object may stand for a list of one."""

    contents: list[Any] | dict[str, Any]
    system_instruction: dict[str, Any] | str | None = None
    generation_config: _Generation | None = None
    tools: list[Any] | dict[str, Any] | None = None
    tool_config: dict[str, Any] | None = None
    safety_settings: list[Any] | dict[str, Any] | None = None


class GeminiSurface:
    """The dialect as calls without state."""

    name = "gemini"
    kind = "chat"
    ending = b""
    # Google's client (google-genai 3.6) takes a comment for an answer it cannot read.
    keep_alive = b""

    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request; model and form are told by the path."""
        return parsed(body, lambda fields: request_of(fields, model, stream, len(body)))

    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """In the generation config that there is, however it is spelt."""
        if request.output_limit is not None:
            return
        fields = request.fields
        name = "generation_config" if "generation_config" in fields else "generationConfig"
        config = {key: value for key, value in (fields.get(name) or {}).items() if key != "max_output_tokens"}
        fields[name] = {**config, "maxOutputTokens": tokens}

    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """One candidate of text, no tools, and not sampled on purpose unless `exact` or `only` is asked for."""
        known = camel(dict(fields), "")
        config = camel(known.get("generationConfig") or {}, "generationConfig")
        if any(known.get(name) for name in _BEYOND) or any(map(config.get, _UNUSUAL)):
            return False
        if config.get("candidateCount") not in {None, 1}:
            return False
        return cache.wanted(mode, sampled=bool(config.get("temperature")))

    def delivery(self) -> frozenset[str]:
        """None: the path says how an answer is delivered."""
        return frozenset()

    def texts(self, answer: Object) -> list[Any]:
        """The parts of every candidate, and what is said beside them."""
        return gemini_texts.of_answer(answer)

    def finish_reason(self, answer: Object) -> str:
        """`finishReason` in the words of records."""
        return reason_of(answer)

    def scrub(self, answer: Object) -> None:
        """Probabilities of tokens tell the original; texts that went into the part before leave nothing."""
        for candidate in answer.get("candidates") or ():
            for name in PROBABILITIES:
                candidate.pop(name, None)
            parts = gemini_texts.parts_of(candidate)
            if parts and (left := [part for part in parts if part not in _EMPTY]):
                candidate["content"]["parts"] = left

    def frame(self, event: Object) -> bytes:
        """An event of data alone."""
        return sse_event(_encode(event))

    def tape(self, *, keep: bool) -> Tape:
        """A fresh tape."""
        return GeminiTape(keep=keep)

    def held(self, review: StreamReview) -> Held:
        """A fresh hold-back."""
        return GeminiHeld(review)

    def replay(self, answer: Object) -> list[Object]:
        """A whole answer as the chunks of a stream."""
        return events_of(answer)

    def error(self, refusal: Refuse, request_id: str) -> bytes:
        """Google's error shape."""
        return gemini_error.body(refusal, request_id)

    def error_event(self, refusal: Refuse, request_id: str) -> bytes:
        """An event with Google's error shape."""
        return sse_event(gemini_error.body(refusal, request_id))


def request_of(fields: Object, model: str, stream: bool, size: int) -> ChatRequest | Refuse:
    """A request made of its decoded fields, or why it is none."""
    known = camel(fields, "")
    config = known.get("generationConfig")
    if isinstance(config, dict):
        known = {**known, "generationConfig": camel(config, "generationConfig")}
    acted = msgspec.convert(known, _Acted)
    contents = acted.contents if isinstance(acted.contents, list) else [acted.contents]
    if not model or len(model) > MOST_NAME:
        return wrong("model", "must be the name of a model")
    if not contents:
        return wrong("contents", "must hold at least one content")
    for number, content in enumerate(contents):
        if not isinstance(content, dict) or not isinstance(content.get("parts", []), (list, dict)):
            return wrong(f"contents[{number}]", "must be an object with a list of `parts`")
    told = acted.generation_config or _Generation()
    limit, count, temperature = told.max_output_tokens, told.candidate_count, told.temperature
    if limit is not None and not 1 <= limit <= MOST_TOKENS:
        return wrong("generationConfig.maxOutputTokens", "must be a whole number above 0")
    if count is not None and not 1 <= count <= _MOST_CANDIDATES:
        return wrong("generationConfig.candidateCount", f"must be from 1 to {_MOST_CANDIDATES}")
    if temperature is not None and not 0 <= temperature <= _MOST_TEMPERATURE:
        return wrong("generationConfig.temperature", f"must be from 0 to {_MOST_TEMPERATURE}")
    slots = gemini_texts.of_request(fields)
    return ChatRequest(model, fields, slots, stream, True, limit, count or 1, size)


SURFACE: Surface = GeminiSurface()

# SPDX-License-Identifier: Apache-2.0
"""A whole Anthropic message as a GenerateContentResponse, and counts of tokens."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_usage, signatures
from apps.providers.dialects.anthropic_blocks import JSON_TOOL, UNSIGNED, arguments
from apps.providers.dialects.gemini_usage import usage_metadata
from apps.providers.pairs.pair import Ask, Object

_FINISH = {
    "end_turn": "STOP",
    "stop_sequence": "STOP",
    "tool_use": "STOP",
    "max_tokens": "MAX_TOKENS",
    "model_context_window_exceeded": "MAX_TOKENS",
    "refusal": "SAFETY",
    "pause_turn": "OTHER",
}
_MESSAGES = {
    "model_context_window_exceeded": "The context window of the model is full.",
    "refusal": "The provider declined to answer.",
    "pause_turn": "The provider paused a long turn.",
}
# Blocks of a web search: what matters of them are the citations.
_SEARCH = frozenset({"web_search_tool_result"})


def response_of(body: Mapping[str, Any], ask: Ask) -> Object:
    """The whole answer; ValueError when the body is no message."""
    try:
        return _response(body, ask)
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"no message of Anthropic: {type(fault).__name__}") from None


def count_of(body: Mapping[str, Any]) -> Object:
    """`input_tokens` as `totalTokens`."""
    tokens = body.get("input_tokens")
    if type(tokens) is not int or tokens < 0:
        raise ValueError("no count of tokens")
    return {"totalTokens": tokens}


def finish(message: Mapping[str, Any]) -> Object:
    """The candidate that says why the answer ended; a reason that is not known yet is never a whole answer."""
    reason = message.get("stop_reason")
    found: Object = {"index": 0, "finishReason": _FINISH.get(reason or "", "OTHER")}
    details = message.get("stop_details")
    text = details.get("explanation") if isinstance(details, Mapping) else None
    said = text or _MESSAGES.get(reason or "")
    return {**found, "finishMessage": said} if said else found


def usage_of(raw: Mapping[str, Any]) -> Object:
    """`usageMetadata`: all of the prompt with what the cache had, and thoughts apart from the rest."""
    fresh, read, written, output, thinking = anthropic_usage.counts(raw)
    return usage_metadata(prompt=fresh + read + written, output=output, cached=read, thoughts=thinking or 0)


class Parts:
    """Makes parts of blocks, one after the other; what is told later (signatures, sources) is kept until then."""

    def __init__(self) -> None:
        self.pending: list[Object] = []
        # Sources by address, the texts they stand behind, and what was searched for.
        self._sources: dict[str, Object] = {}
        self._supports: list[Object] = []
        self._queries: list[str] = []
        self._cited: list[int] = []
        # Where the text that is being told began and ends, in bytes as Gemini counts.
        self._start = self._length = 0
        self._text: list[str] = []

    def block(self, block: Mapping[str, Any]) -> list[Object]:
        """The parts of a block that is whole; ValueError for a kind that Gemini has nothing like."""
        kind = block["type"]
        if kind == "text":
            parts = self.text(block["text"])
            for citation in block.get("citations") or ():
                self.cite(citation)
            self.close_text()
            return parts
        if kind == "thinking":
            self.pending.append(dict(block))
            return [{"text": block["thinking"], "thought": True}] if block["thinking"] else []
        if kind == "redacted_thinking":
            self.pending.append(dict(block))
            return []
        if kind == "tool_use":
            return self._call(block)
        if kind == "server_tool_use" and block["name"] == "web_search":
            self._queries.append(str(block["input"].get("query", "")))
        elif kind not in _SEARCH:
            raise ValueError(f"the answer holds {kind}, which Gemini has nothing like")
        return []

    def text(self, words: str) -> list[Object]:
        """A part of a text; the first one carries the signatures of what was thought before."""
        if not words:
            return []
        self._length += len(words.encode())
        self._text.append(words)
        return [{"text": words, **self._signed()}]

    def cite(self, citation: Mapping[str, Any]) -> None:
        """Keep a source of the text that is being told."""
        url = citation.get("url")
        if isinstance(url, str) and url:
            known = self._sources.setdefault(url, {"uri": url, "title": citation.get("title") or url})
            self._cited.append(list(self._sources.values()).index(known))

    def close_text(self) -> None:
        """End a text: its sources stand behind all of it."""
        if self._cited:
            segment = {"startIndex": self._start, "endIndex": self._length, "text": "".join(self._text)}
            indices = list(dict.fromkeys(self._cited))
            self._supports.append({"segment": segment, "groundingChunkIndices": indices})
        self._start, self._cited, self._text = self._length, [], []

    def rest(self) -> list[Object]:
        """The part for thinking that nothing came after; else nothing."""
        signed = self._signed()
        return [{"text": "", "thought": True, **signed}] if signed else []

    def sources(self) -> Object:
        """What the candidate has to say about sources."""
        if not (self._sources or self._queries):
            return {}
        found: Object = {"groundingChunks": [{"web": source} for source in self._sources.values()]}
        found["groundingSupports"] = self._supports
        found["webSearchQueries"] = self._queries
        return {"groundingMetadata": {name: value for name, value in found.items() if value}}

    def _call(self, block: Mapping[str, Any]) -> list[Object]:
        if block["name"] == JSON_TOOL:
            return self.text(arguments(block["input"]))
        call = {"id": block["id"], "name": block["name"], "args": block["input"]}
        return [{"functionCall": call, **self._signed()}]

    def _signed(self) -> Object:
        # Unsigned thinking is worth nothing to the provider that would get it back.
        kept = [_bare(block) for block in self.pending if block.get("signature") != UNSIGNED]
        self.pending = []
        return {"thoughtSignature": signatures.from_anthropic(kept)} if kept else {}


def _bare(block: Mapping[str, Any]) -> Object:
    if block["type"] == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block["data"]}
    return {"type": "thinking", "thinking": block["thinking"], "signature": block.get("signature") or ""}


def _response(body: Mapping[str, Any], ask: Ask) -> Object:
    made = Parts()
    parts = [part for block in body["content"] for part in made.block(block)]
    parts += made.rest()
    candidate = finish(body)
    if parts or candidate["finishReason"] in {"STOP", "MAX_TOKENS"}:
        candidate["content"] = {"role": "model", "parts": parts or [{"text": ""}]}
    candidate |= made.sources()
    return {
        "candidates": [candidate],
        "usageMetadata": usage_of(body.get("usage") or {}),
        "modelVersion": ask.model,
        "responseId": body.get("id") or ask.request_id,
    }

# SPDX-License-Identifier: Apache-2.0
"""A Gemini stream as the events of an Anthropic message."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import gemini_finish, signatures
from apps.providers.dialects.anthropic_blocks import clean_id
from apps.providers.dialects.anthropic_message import Writer, refusal
from apps.providers.dialects.anthropic_message import usage as usage_object
from apps.providers.dialects.gemini_parts import word
from apps.providers.dialects.gemini_usage import count, read_usage
from apps.providers.pairs.pair import Ask, Object

# Parts that only tools and settings bring about which no Anthropic request asks for.
_FOREIGN = ("inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall", "toolResponse")


class Events:
    """The translation of one stream; a whole answer is translated as a stream of one event."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._writer = Writer(f"msg_{clean_id(ask.request_id)}", ask.model)
        self._told: Mapping[str, Any] | None = None
        self._finish: Mapping[str, Any] | None = None
        self._calls = 0
        # Whether this answer shows thoughts, and whether the one that is being written is signed.
        self._thoughts = self._signed = False
        # A signature of the text that is being written: told after it, where a new block costs nothing.
        self._behind = ""
        self._searches = 0

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The events for one GenerateContentResponse."""
        try:
            return self._events(event)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"not an answer of Gemini: {type(fault).__name__}") from None

    def end(self) -> list[Object]:
        """`message_delta` and `message_stop`; ValueError where the provider never said that the answer is whole."""
        if self._finish is None:
            raise ValueError("the stream ended without a finish reason")
        events: list[Object] = []
        self._flush(events)
        usage = _usage(self._told)
        if self._searches:
            usage["server_tool_use"] = {"web_search_requests": self._searches, "web_fetch_requests": 0}
        reason = word(self._finish.get("finishReason"))
        if reason in gemini_finish.WHOLE:
            events += self._writer.stop("tool_use" if self._calls else "end_turn", usage)
        elif reason in gemini_finish.LENGTH:
            events += self._writer.stop("max_tokens", usage)
        else:
            text = self._finish.get("explanation") or gemini_finish.finish_text(self._finish)
            events += self._writer.stop("refusal", usage, stop_details=refusal(text))
        return events

    def _events(self, event: Mapping[str, Any]) -> list[Object]:
        told = event.get("usageMetadata")
        if isinstance(told, dict):
            self._told = told
        events: list[Object] = []
        if not self._writer.started:
            name = event.get("responseId")
            message_id = f"msg_{clean_id(name)}" if isinstance(name, str) and name else ""
            events = self._writer.start(_usage(self._told), message_id)
        if gemini_finish.block_reason(event):
            self._finish = {"explanation": gemini_finish.block_text(event)}
        candidates = event.get("candidates") or ()
        for candidate in candidates:
            if candidate.get("index"):
                continue
            for part in _parts(candidate):
                self._part(part, events)
            self._sources(candidate, events)
            if candidate.get("finishReason"):
                self._finish = candidate
        return events

    def _part(self, part: Mapping[str, Any], events: list[Object]) -> None:
        signature = part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) else ""
        text = part.get("text")
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._flush(events)
            if signature:
                self._sign(signature, signatures.NEXT, events)
            self._call(call, events)
        elif not isinstance(text, str):
            found = next((name for name in _FOREIGN if name in part), "")
            if found:
                raise ValueError(f"the answer holds {found}, which an Anthropic message cannot")
        elif part.get("thought") is True:
            self._thought(text, signature, events)
        else:
            self._text(text, signature, events)

    def _thought(self, text: str, signature: str, events: list[Object]) -> None:
        self._flush(events)
        if text:
            events += self._writer.thinking(text)
            self._signed = False
            self._thoughts = True
        if signature:
            self._sign(signature, signatures.SELF, events)

    def _text(self, text: str, signature: str, events: list[Object]) -> None:
        if text and self._behind:
            self._flush(events)
        if signature and self._writer.open == "thinking" and not self._signed:
            self._sign(signature, signatures.NEXT if text else signatures.ALONE, events)
            signature = ""
        if text:
            events += self._writer.text(text)
            self._signed = False
        if signature and self._thoughts:
            self._flush(events)
            self._behind = signatures.from_gemini(signature, signatures.BEFORE if text else signatures.ALONE)

    def _flush(self, events: list[Object]) -> None:
        """Tell the signature of a text whose block is over."""
        if self._behind:
            events += self._writer.close()
            events += self._writer.signature(self._behind)
            events += self._writer.close()
            self._behind, self._signed = "", False

    def _sign(self, signature: str, place: str, events: list[Object]) -> None:
        """Sign the thinking that is being written, else a block without words."""
        if self._signed:
            events += self._writer.close()
        events += self._writer.signature(signatures.from_gemini(signature, place))
        self._signed = True

    def _call(self, call: Mapping[str, Any], events: list[Object]) -> None:
        name, given = call.get("name"), call.get("args")
        if not isinstance(name, str) or not isinstance(given, dict | None):
            raise ValueError("a function call without a name or with arguments that are no object")
        self._calls += 1
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"toolu_{self._ask.request_id}_{self._calls}"
        events += self._writer.tool(clean_id(call_id), name)
        events += self._writer.tool_input(given or {})
        events += self._writer.close()
        self._signed = False

    def _sources(self, candidate: Mapping[str, Any], events: list[Object]) -> None:
        """Pages that the answer rests on, as citations of the text that is being written."""
        grounding = candidate.get("groundingMetadata")
        if isinstance(grounding, dict):
            queries = grounding.get("webSearchQueries")
            self._searches = len(queries) if isinstance(queries, list) else self._searches
            for chunk in grounding.get("groundingChunks") or ():
                web = chunk.get("web") if isinstance(chunk, dict) else None
                if isinstance(web, dict):
                    events += self._writer.citation(_citation(web.get("uri"), web.get("title")))
        cited = candidate.get("citationMetadata")
        if isinstance(cited, dict):
            for source in cited.get("citationSources") or cited.get("citations") or ():
                if isinstance(source, dict) and source.get("uri"):
                    events += self._writer.citation(_citation(source["uri"], source.get("title")))


def _parts(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError("the parts of the answer are no list of objects")
    return parts


def _usage(told: Mapping[str, Any] | None) -> Object:
    found = read_usage(told)
    if found is None:
        return usage_object()
    return usage_object(
        fresh=found.fresh,
        cache_read=found.cache_read,
        output=found.output,
        thinking=found.reasoning if told and count(told.get("thoughtsTokenCount")) else None,
    )


def _citation(uri: Any, title: Any) -> Object:
    return {
        "type": "web_search_result_location",
        "url": str(uri or ""),
        "title": str(title) if title else None,
        # Gemini quotes nothing, and there is nothing to find again at Anthropic.
        "cited_text": "",
        "encrypted_index": "",
    }

# SPDX-License-Identifier: Apache-2.0
"""A chat completion as a message of Anthropic.

Reasoning that a server tells becomes a thinking block; where nobody signed it, it says so in place of the signature.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects import anthropic_message
from apps.providers.pairs.pair import Ask, Object


def translate(body: Mapping[str, Any], ask: Ask) -> Object:
    """The whole message; ValueError when the body is no completion."""
    try:
        return _message(body, ask)
    except (KeyError, IndexError, TypeError, AttributeError) as fault:
        raise ValueError(f"no chat completion: {type(fault).__name__}") from None


def usage_of(raw: Mapping[str, Any] | None) -> Object:
    """Anthropic's usage: the prompt without what the cache had."""
    raw = raw or {}
    prompt, output = raw.get("prompt_tokens") or 0, raw.get("completion_tokens") or 0
    details = raw.get("prompt_tokens_details") or {}
    read = min(prompt, details.get("cached_tokens") or 0)
    written = min(prompt - read, details.get("cache_write_tokens") or 0)
    return anthropic_message.usage(
        fresh=prompt - read - written,
        cache_read=read,
        cache_write=written,
        output=output,
        thinking=(raw.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )


def stop_of(choice: Mapping[str, Any], *, calls: bool, refused: str) -> tuple[str, str | None, Object | None]:
    """Stop reason, stop sequence and stop details for a choice that ended."""
    reason = choice.get("finish_reason")
    if refused or reason == "content_filter":
        return "refusal", None, anthropic_message.refusal(refused)
    if reason == "length":
        return "max_tokens", None, None
    if calls:
        return "tool_use", None, None
    # Some servers say which sequence it was; OpenAI does not.
    sequence = choice.get("stop_reason")
    if isinstance(sequence, str) and sequence and reason == "stop":
        return "stop_sequence", sequence, None
    return "end_turn", None, None


def reasoning_of(message: Mapping[str, Any]) -> str:
    """Reasoning that is told as text, under either of its names."""
    return message.get("reasoning_content") or message.get("reasoning") or ""


def citation(annotation: Mapping[str, Any], words: str) -> Object | None:
    """A source on the web of a span of the text; None for other annotations."""
    given = annotation.get("url_citation")
    if not isinstance(given, Mapping):
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": words[given.get("start_index") or 0 : given.get("end_index") or 0],
        "encrypted_index": "",
        "title": given.get("title"),
        "url": given["url"],
    }


def _message(body: Mapping[str, Any], ask: Ask) -> Object:
    choice = body["choices"][0]
    message = choice["message"]
    content = list(_thoughts(message))
    words, refused = message.get("content") or "", message.get("refusal") or ""
    if words:
        block = blocks.text(words)
        found = [citation(annotation, words) for annotation in message.get("annotations") or ()]
        sources = [source for source in found if source is not None]
        content.append({**block, "citations": sources} if sources else block)
    if refused:
        content.append(blocks.text(refused))
    calls = list(_calls(message, ask))
    stop_reason, stop_sequence, details = stop_of(choice, calls=bool(calls), refused=refused)
    return anthropic_message.message(
        message_id=body.get("id") or f"msg_{ask.request_id}",
        model=ask.model,
        content=content + calls,
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        stop_details=details,
        usage=usage_of(body.get("usage")),
    )


def _thoughts(message: Mapping[str, Any]) -> Iterator[Object]:
    given = message.get("thinking_blocks")
    if not given:
        words = reasoning_of(message)
        if words:
            yield blocks.thinking(words, blocks.UNSIGNED)
        return
    for block in given:
        if block["type"] == "redacted_thinking":
            yield blocks.redacted(block["data"])
        else:
            yield blocks.thinking(block["thinking"], block.get("signature") or blocks.UNSIGNED)


def _calls(message: Mapping[str, Any], ask: Ask) -> Iterator[Object]:
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        call_id = call.get("id") or f"toolu_{ask.request_id}_{number}"
        yield blocks.tool_use(call_id, function["name"], _input(function.get("arguments")))
    old = message.get("function_call")
    if old:
        yield blocks.tool_use(f"toolu_{ask.request_id}", old["name"], _input(old.get("arguments")))


def _input(given: Any) -> Object:
    """The input of a call; some servers send it as an object already."""
    return given if isinstance(given, dict) else blocks.input_or_broken(given or "")

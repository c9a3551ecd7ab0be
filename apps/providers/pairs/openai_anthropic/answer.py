# SPDX-License-Identifier: Apache-2.0
"""A message of Anthropic as a chat completion.

Blocks of tools that Anthropic runs itself (a web search and its results) are not told; their sources are, as annotations.
Reasoning is told as `reasoning_content`, and as `thinking_blocks` with the signatures that the provider wants back.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_usage
from apps.providers.dialects.anthropic_blocks import JSON_TOOL, arguments
from apps.providers.pairs.pair import Ask, Object

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority"}
DECLINED = "The provider declined to answer."


def translate(body: Mapping[str, Any], ask: Ask) -> Object:
    """The whole completion; ValueError when the body is no message."""
    try:
        return _completion(body, ask)
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"no message of Anthropic: {type(fault).__name__}") from None


def finish_reason(stop_reason: Any, *, json_object: bool) -> str:
    """OpenAI's word for why the answer ended; a reason that is not known yet is an end like any other."""
    if json_object and stop_reason == "tool_use":
        return "stop"
    return _FINISH.get(stop_reason, "stop")


def refusal_of(message: Mapping[str, Any]) -> str | None:
    """What is said about a refusal; None where nothing was refused."""
    if message.get("stop_reason") != "refusal":
        return None
    details = message.get("stop_details")
    return (details.get("explanation") if isinstance(details, Mapping) else None) or DECLINED


def usage_of(raw: Mapping[str, Any]) -> Object:
    """OpenAI's usage: all of the prompt, with what the cache had as parts of it."""
    fresh, read, written, output, thinking = anthropic_usage.counts(raw)
    prompt = fresh + read + written
    found: Object = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    if thinking is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": thinking}
    return found


def tier_of(raw: Mapping[str, Any]) -> Object:
    """What to add where the provider says which tier it used."""
    tier = _TIERS.get(raw.get("service_tier") or "")
    return {"service_tier": tier} if tier else {}


def annotation(citation: Mapping[str, Any], start: int, end: int) -> Object | None:
    """A source of a span of the text; None for sources that OpenAI has no form for."""
    url = citation.get("url")
    if not isinstance(url, str):
        return None
    title = citation.get("title") or url
    told = {"start_index": start, "end_index": end, "title": title, "url": url}
    return {"type": "url_citation", "url_citation": told}


def _completion(body: Mapping[str, Any], ask: Ask) -> Object:
    content: list[str] = []
    thoughts: list[Object] = []
    calls: list[Object] = []
    sources: list[Object] = []
    others: list[Object] = []
    length, json_object = 0, False
    for block in body["content"]:
        kind = block["type"]
        if kind == "text":
            start, length = length, length + len(block["text"])
            content.append(block["text"])
            for citation in block.get("citations") or ():
                found = annotation(citation, start, length)
                (sources if found else others).append(found or citation)
        elif kind in {"thinking", "redacted_thinking"}:
            thoughts.append(block)
        elif kind == "tool_use" and block["name"] == JSON_TOOL:
            json_object = True
            content.append(arguments(block["input"]))
        elif kind == "tool_use":
            function = {"name": block["name"], "arguments": arguments(block["input"])}
            calls.append({"id": block["id"], "type": "function", "function": function})
    message: Object = {
        "role": "assistant",
        "content": "".join(content) if content else None,
        "refusal": refusal_of(body),
    }
    words = "".join([block["thinking"] for block in thoughts if block["type"] == "thinking"])
    optional = {
        "reasoning_content": words,
        "thinking_blocks": thoughts,
        "tool_calls": calls,
        "annotations": sources,
        "citations": others,
    }
    message |= {name: value for name, value in optional.items() if value}
    reason = finish_reason(body.get("stop_reason"), json_object=json_object)
    return {
        "id": body.get("id") or f"chatcmpl-{ask.request_id}",
        "object": "chat.completion",
        "created": ask.created,
        "model": ask.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage_of(body.get("usage") or {}),
        **tier_of(body.get("usage") or {}),
    }

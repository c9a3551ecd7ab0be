# SPDX-License-Identifier: Apache-2.0
"""A whole GenerateContentResponse as a chat completion, and the pieces that streams share with it."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from apps.providers.dialects.gemini_finish import block_text, finish_text, openai_reason
from apps.providers.dialects.gemini_parts import data_url
from apps.providers.dialects.gemini_usage import read_usage
from apps.providers.pairs.pair import Ask, Object

_encode = msgspec.json.Encoder().encode


def whole(body: Mapping[str, Any], ask: Ask) -> Object:
    """The chat completion; a prompt that was refused is one choice without content."""
    candidates = candidates_of(body)
    choices = [_choice(candidate, number, ask) for number, candidate in enumerate(candidates)]
    if not choices:
        refusal = block_text(body)
        if not refusal:
            raise ValueError("neither candidates nor a reason why there are none")
        message = {"role": "assistant", "content": None, "refusal": refusal}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}]
    found = {**head(body, ask), "object": "chat.completion", "choices": choices}
    usage = usage_of(body.get("usageMetadata"))
    return {**found, "usage": usage} if usage else found


def _choice(candidate: Mapping[str, Any], number: int, ask: Ask) -> Object:
    message: Object = {"role": "assistant", "content": None, "refusal": finish_text(candidate) or None}
    index = index_of(candidate, number)
    for part in parts_of(candidate):
        calls = message.get("tool_calls", ())
        for name, value in delta_of(part, ask, index, len(calls)).items():
            if name in {"tool_calls", "images"}:
                message.setdefault(name, []).extend(value)
            elif name == "extra_content":
                message[name] = value
            else:
                message[name] = (message.get(name) or "") + value
    if annotations := annotations_of(candidate, message["content"] or ""):
        message["annotations"] = annotations
    reason = candidate.get("finishReason")
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_of(candidate),
        "finish_reason": openai_reason(str(reason or "OTHER"), calls="tool_calls" in message),
    }


def head(body: Mapping[str, Any], ask: Ask) -> Object:
    """What every object of an answer begins with."""
    found = body.get("responseId")
    name = found if isinstance(found, str) and found else ask.request_id
    return {"id": f"chatcmpl-{name}", "created": ask.created, "model": ask.model}


def candidates_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The candidates; ValueError when there is something else in their place."""
    candidates = body.get("candidates")
    if candidates is None:
        return []
    if not isinstance(candidates, list) or not all(isinstance(one, dict) for one in candidates):
        raise ValueError("candidates must be a list of objects")
    return candidates


def index_of(candidate: Mapping[str, Any], number: int) -> int:
    """A candidate's index: its own, or its place; protocol buffers leave a zero out."""
    index = candidate.get("index")
    return index if type(index) is int else number


def parts_of(candidate: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of a candidate, of which there may be none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            raise ValueError("a part must be an object")
        yield part


def delta_of(part: Mapping[str, Any], ask: Ask, index: int, calls: int) -> Object:
    """What a part adds to a message that holds so many calls; ValueError for what a chat completion cannot hold."""
    signature = part.get("thoughtSignature")
    extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    text, call, data = part.get("text"), part.get("functionCall"), part.get("inlineData")
    if isinstance(text, str):
        if part.get("thought") is True:
            return {"reasoning_content": text} if text else {}
        return {"content": text, **extra} if text else extra
    if isinstance(call, dict):
        return {"tool_calls": [{**_call(call, ask, index, calls), **extra}]}
    if isinstance(data, dict) and str(data.get("mimeType")).startswith("image/"):
        url = data_url(data["mimeType"], str(data.get("data") or ""))
        return {"images": [{"type": "image_url", "image_url": {"url": url}}], **extra}
    if part.keys() - {"thought", "thoughtSignature", "partMetadata"}:
        raise ValueError("a part is of a kind that a chat completion does not have")
    return extra


def _call(call: Mapping[str, Any], ask: Ask, index: int, calls: int) -> Object:
    name, args = call.get("name"), call.get("args")
    if not isinstance(name, str):
        raise ValueError("a function call has no name")
    # OpenAI takes ids of at most 40 characters back.
    call_id = call.get("id") or f"call_{ask.request_id[-24:]}_{index}_{calls}"
    arguments = _encode(args if isinstance(args, dict) else {}).decode()
    return {"id": str(call_id), "type": "function", "function": {"name": name, "arguments": arguments}}


def annotations_of(candidate: Mapping[str, Any], content: str) -> list[Object]:
    """The sources that an answer quotes; Google counts bytes where OpenAI counts characters."""
    told = candidate.get("citationMetadata")
    if not isinstance(told, dict):
        return []
    # Vertex AI and the Gemini API differ in the name.
    sources = told.get("citations") or told.get("citationSources")
    found: list[Object] = []
    raw = content.encode()
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(source.get("uri"), str):
            citation = {
                "start_index": _characters(raw, source.get("startIndex")),
                "end_index": _characters(raw, source.get("endIndex")),
                "title": str(source.get("title") or ""),
                "url": source["uri"],
            }
            found.append({"type": "url_citation", "url_citation": citation})
    return found


def _characters(raw: bytes, index: Any) -> int:
    return len(raw[:index].decode(errors="ignore")) if type(index) is int and index >= 0 else 0


def logprobs_of(candidate: Mapping[str, Any]) -> Object | None:
    """The log probabilities of the tokens; None where none are told."""
    told = candidate.get("logprobsResult")
    chosen = told.get("chosenCandidates") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(chosen, list):
        return None
    tops = told.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    content = []
    for number, token in enumerate(chosen):
        top = (
            tops[number].get("candidates") if number < len(tops) and isinstance(tops[number], dict) else None
        )
        rows = [_token(row) for row in top] if isinstance(top, list) else []
        content.append({**_token(token), "top_logprobs": rows})
    return {"content": content, "refusal": None}


def _token(row: Any) -> Object:
    if not isinstance(row, dict):
        raise ValueError("a token's probability must be an object")
    text, probability = str(row.get("token") or ""), row.get("logProbability")
    number = float(probability) if isinstance(probability, (int, float)) else 0.0
    return {"token": text, "bytes": list(text.encode()), "logprob": number}


def usage_of(told: Any) -> Object | None:
    """The usage in OpenAI's counts, where the prompt holds what was cached and the output what was thought."""
    usage = read_usage(told)
    if usage is None:
        return None
    read: Object = {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input}
    made: Object = {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output}
    if usage.image_input:
        read["image_tokens"] = usage.image_input
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": read,
        "completion_tokens_details": made,
    }

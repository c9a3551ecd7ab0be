# SPDX-License-Identifier: Apache-2.0
"""The messages of a chat completion request as system prompt and turns of Anthropic."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects import anthropic_thinking
from apps.providers.pairs.openai_anthropic.read import as_list, as_object, as_text, refuse_others
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Object

# Fields of messages and parts that carry nothing which Anthropic's answer could depend on.
LET_GO = (
    ("assistant.annotations", "sources of an earlier answer, shown to the reader"),
    (
        "assistant.reasoning_content",
        "unsigned reasoning, which Anthropic does not take; signed thinking_blocks are kept",
    ),
    ("assistant.reasoning", "the same under another name"),
    ("tool_calls.extra_content", "signatures of another provider"),
    ("tool.name", "the call that is answered has the name"),
    ("image_url.detail", "OpenAI's own way to choose a resolution"),
)
_ASSISTANT = frozenset(
    {"role", "content", "refusal", "tool_calls", "thinking_blocks", "cache_control"}
    | {"annotations", "reasoning_content", "reasoning"}
)
_TOOL = frozenset({"role", "content", "tool_call_id", "name", "cache_control"})
_OTHERS = frozenset({"role", "content", "cache_control"})
_TEXT = frozenset({"type", "text", "cache_control", "prompt_cache_breakpoint"})
_IMAGE = frozenset({"type", "image_url", "cache_control", "prompt_cache_breakpoint"})
_FILE = frozenset({"type", "file", "cache_control", "prompt_cache_breakpoint"})
_CALL = frozenset({"id", "type", "function", "index", "extra_content"})
_TTLS = {None: None, "30m": "1h"}


def translate(fields: Mapping[str, Any], ask: Ask) -> tuple[list[Object], list[Object]]:
    """System blocks and messages."""
    system: list[Object] = []
    turns, calls = blocks.Turns(), set[str]()
    for number, message in enumerate(as_list(fields.get("messages"), "messages")):
        path = f"messages[{number}]"
        role = as_object(message, path).get("role")
        if role == "user":
            refuse_others(message, _OTHERS, path, ask)
            turns.add("user", _cached(message, _content(message.get("content"), f"{path}.content", ask)))
        elif role == "assistant":
            refuse_others(message, _ASSISTANT, path, ask)
            turns.add("assistant", _cached(message, _assistant(message, path, calls, ask)))
        elif role == "tool":
            refuse_others(message, _TOOL, path, ask)
            turns.add("user", _cached(message, [_result(message, path, calls, ask)]))
        elif role in {"system", "developer"}:
            refuse_others(message, _OTHERS, path, ask)
            system += _cached(
                message, _content(message.get("content"), f"{path}.content", ask, only_text=True)
            )
        elif role == "function":
            ask.cannot(path, "is the old form of a tool's result: use the role tool")
        else:
            raise InvalidError(f"{path}.role", "has to be system, developer, user, assistant or tool")
    if not turns.messages:
        raise InexpressibleError("messages", "has to hold a message of the user at Anthropic")
    return system, _ending(turns.messages, len(fields["messages"]) - 1, ask)


def _ending(turns: list[Object], last: int, ask: Ask) -> list[Object]:
    """The turns, the last of which may begin the answer where the model goes on from it; it takes no spaces there."""
    if turns[-1]["role"] != "assistant":
        return turns
    if not anthropic_thinking.goes_on(ask.upstream_model):
        ask.cannot(f"messages[{last}]", "begins the answer, which this model does not go on from")
        return turns[:-1]
    *before, block = turns[-1]["content"]
    if block["type"] == "text":
        words = block["text"].rstrip()
        content = [*before, {**block, "text": words}] if words else before
        return [*turns[:-1], {"role": "assistant", "content": content}] if content else turns[:-1]
    return turns


def cache_of(given: Object, path: str, ask: Ask) -> Object:
    """Anthropic's cache control with a life at least as long as OpenAI's."""
    ttl = given.get("ttl")
    if ttl not in _TTLS:
        ask.cannot(f"{path}.ttl", "has to be 30m: Anthropic keeps a cache for an hour at most")
        ttl = None
    found = _TTLS[ttl]
    return {"type": "ephemeral", "ttl": found} if found else {"type": "ephemeral"}


def _cached(message: Object, found: list[Object]) -> list[Object]:
    """A cache mark on a whole message (a widespread addition to OpenAI's form) belongs to its last block."""
    cache = message.get("cache_control")
    if isinstance(cache, dict) and found and found[-1]["type"] not in {"thinking", "redacted_thinking"}:
        found[-1] = {**found[-1], "cache_control": cache}
    return found


def _content(content: Any, path: str, ask: Ask, *, only_text: bool = False) -> list[Object]:
    if isinstance(content, str):
        return [blocks.text(content)] if content else []
    found = []
    for number, part in enumerate(as_list(content, path)):
        block = _part(part, f"{path}[{number}]", ask, only_text=only_text)
        if block is not None:
            found.append(block)
    return found


def _part(part: Any, path: str, ask: Ask, *, only_text: bool) -> Object | None:
    kind = as_object(part, path).get("type")
    if kind == "text":
        refuse_others(part, _TEXT, path, ask)
        words = as_text(part.get("text"), f"{path}.text")
        return blocks.text(words, _cache(part, path, ask)) if words else None
    if only_text:
        raise InvalidError(f"{path}.type", "has to be text")
    if kind == "image_url":
        refuse_others(part, _IMAGE, path, ask)
        block = _image(as_object(part.get("image_url"), f"{path}.image_url"), f"{path}.image_url", ask)
    elif kind == "file":
        refuse_others(part, _FILE, path, ask)
        block = _file(as_object(part.get("file"), f"{path}.file"), f"{path}.file", ask)
    elif kind == "refusal":
        words = as_text(part.get("refusal"), f"{path}.refusal")
        return blocks.text(words) if words else None
    elif kind == "input_audio":
        ask.cannot(path, "is audio, which Anthropic does not take")
        return None
    else:
        raise InvalidError(f"{path}.type", "has to be text, image_url, input_audio or file")
    cache = _cache(part, path, ask)
    return {**block, **blocks.cached(cache)} if block is not None else None


def _cache(part: Object, path: str, ask: Ask) -> Object | None:
    mark = part.get("cache_control")
    if mark is not None:
        return as_object(mark, f"{path}.cache_control")
    mark = part.get("prompt_cache_breakpoint")
    if mark is None:
        return None
    return cache_of(
        as_object(mark, f"{path}.prompt_cache_breakpoint"), f"{path}.prompt_cache_breakpoint", ask
    )


def _image(given: Object, path: str, ask: Ask) -> Object | None:
    url = as_text(given.get("url"), f"{path}.url")
    if url.startswith(("https://", "http://")):
        return blocks.image(blocks.url_source(url))
    found = blocks.data_url(url)
    if found is None:
        raise InvalidError(f"{path}.url", "has to be an https address or a base64 data address")
    if found[0] not in blocks.IMAGE_TYPES:
        ask.cannot(f"{path}.url", "has to be a JPEG, PNG, GIF or WebP image at Anthropic")
        return None
    return blocks.image(blocks.base64_source(*found))


def _file(given: Object, path: str, ask: Ask) -> Object | None:
    if given.get("file_data") is None:
        ask.cannot(f"{path}.file_id", "names a file kept at OpenAI: send it as file_data")
        return None
    data = as_text(given["file_data"], f"{path}.file_data")
    title = as_text(given.get("filename") or "", f"{path}.filename")
    media_type, coded = blocks.data_url(data) or (blocks.PDF, data)
    if media_type in blocks.IMAGE_TYPES:
        return blocks.image(blocks.base64_source(media_type, coded))
    if media_type == blocks.PDF:
        return blocks.document(blocks.base64_source(media_type, coded), title)
    if not media_type.startswith("text/"):
        ask.cannot(f"{path}.file_data", "has to be a PDF, a plain text or an image at Anthropic")
        return None
    try:
        return blocks.document(blocks.text_source(base64.b64decode(coded, validate=True).decode()), title)
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidError(f"{path}.file_data", "has to be base64 of a UTF-8 text") from None


def _assistant(message: Object, path: str, calls: set[str], ask: Ask) -> list[Object]:
    found = _thoughts(message.get("thinking_blocks"), f"{path}.thinking_blocks")
    content = message.get("content")
    if content is not None:
        found += _content(content, f"{path}.content", ask)
    if message.get("refusal"):
        found.append(blocks.text(as_text(message["refusal"], f"{path}.refusal")))
    given = message.get("tool_calls")
    for number, call in enumerate(as_list(given, f"{path}.tool_calls") if given is not None else ()):
        block = _call(call, f"{path}.tool_calls[{number}]", ask)
        if block is not None:
            calls.add(block["id"])
            found.append(block)
    return found


def _thoughts(given: Any, path: str) -> list[Object]:
    found: list[Object] = []
    for number, block in enumerate(as_list(given, path) if given is not None else ()):
        here = f"{path}[{number}]"
        kind = as_object(block, here).get("type")
        if kind == "redacted_thinking":
            found.append(blocks.redacted(as_text(block.get("data"), f"{here}.data")))
        elif kind == "thinking":
            signature = as_text(block.get("signature") or "", f"{here}.signature")
            if signature not in {"", blocks.UNSIGNED}:
                found.append(blocks.thinking(as_text(block.get("thinking"), f"{here}.thinking"), signature))
        else:
            raise InvalidError(f"{here}.type", "has to be thinking or redacted_thinking")
    return found


def _call(call: Any, path: str, ask: Ask) -> Object | None:
    kind = as_object(call, path).get("type", "function")
    if kind != "function":
        ask.cannot(path, "calls a custom tool, which Anthropic does not have")
        return None
    refuse_others(call, _CALL, path, ask)
    function = as_object(call.get("function"), f"{path}.function")
    given = blocks.parsed_input(as_text(function.get("arguments") or "", f"{path}.function.arguments"))
    if given is None:
        raise InvalidError(f"{path}.function.arguments", "has to be a JSON object")
    call_id = blocks.clean_id(as_text(call.get("id"), f"{path}.id"))
    return blocks.tool_use(call_id, as_text(function.get("name"), f"{path}.function.name"), given)


def _result(message: Object, path: str, calls: set[str], ask: Ask) -> Object:
    call_id = blocks.clean_id(as_text(message.get("tool_call_id"), f"{path}.tool_call_id"))
    if call_id not in calls:
        raise InvalidError(f"{path}.tool_call_id", "answers no tool call of a message before it")
    content = message.get("content")
    if isinstance(content, str):
        return blocks.tool_result(call_id, content)
    return blocks.tool_result(call_id, _content(content, f"{path}.content", ask))

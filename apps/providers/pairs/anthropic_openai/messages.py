# SPDX-License-Identifier: Apache-2.0
"""System prompt and turns of Anthropic as messages of a chat completion request.

A tool's result can only be text at OpenAI: images and PDFs of a result follow in a message of the user that says which
call they belong to. A result that is an error says so in its text. Of earlier thinking only unsigned reasoning goes back,
to the kind of server it came from: OpenAI takes none, and a signature means something to its own provider alone.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_request as read
from apps.providers.dialects.anthropic_blocks import UNSIGNED, arguments
from apps.providers.pairs.anthropic_openai import models
from apps.providers.pairs.pair import Ask, InvalidError, Object

# What changes nothing about the answer and has no place at OpenAI.
LET_GO = (
    ("thinking", "signed or redacted thinking of an earlier turn can be read by its own provider alone"),
    ("text.citations", "sources of an earlier answer, shown to the reader"),
    (
        "tool_use.cache_control",
        "OpenAI caches prompts by itself; marks on content go to models that take them",
    ),
    ("tool_use.caller", "who called a tool in an earlier turn"),
    ("image.transformations", "downsize is what OpenAI does"),
)
_TEXT = frozenset({"type", "text", "cache_control", "citations"})
_IMAGE = frozenset({"type", "source", "cache_control", "transformations"})
_DOCUMENT = frozenset({"type", "source", "cache_control", "citations", "context", "title"})
_SEARCH = frozenset({"type", "source", "title", "content", "cache_control", "citations"})
_USE = frozenset({"type", "id", "name", "input", "cache_control", "caller"})
_RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
_REFERENCE = frozenset({"type", "tool_name", "cache_control"})
_TTLS: dict[str | None, Object] = {
    None: {"mode": "explicit"},
    "5m": {"mode": "explicit"},
    "1h": {"mode": "explicit", "ttl": "12h"},
}


def refuse_others(given: Object, known: frozenset[str], path: str, ask: Ask) -> None:
    """Every field that is set and not known cannot be said."""
    if given.keys() <= known:
        return
    for name in given.keys() - known:
        if given[name] is not None:
            ask.cannot(f"{path}.{name}", "is no field that OpenAI knows")


def translate(fields: Mapping[str, Any], ask: Ask) -> tuple[list[Object], set[str]]:
    """The messages, at least one, and the names of tools that they load."""
    reader = _Reader(ask)
    return reader.read(fields), reader.loaded


class _Reader:
    """Reads one request; knows which calls were made so far."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._marks = models.takes_breakpoints(ask.upstream_model)
        self._calls: set[str] = set()
        # Deferred tools that a search of the client found.
        self.loaded: set[str] = set()
        self._found: list[Object] = []

    def read(self, fields: Mapping[str, Any]) -> list[Object]:
        """All messages."""
        self._say("system", self._parts(read.system(fields), "system"))
        path, role = "", ""
        for path, role, blocks in read.messages(fields):
            if role == "user":
                self._user(blocks, f"{path}.content")
            elif role == "assistant":
                self._assistant(blocks, f"{path}.content")
            else:
                self._say("system", self._parts(blocks, f"{path}.content"))
        if role == "assistant" and self._found and self._found[-1]["role"] == "assistant":
            self._ask.cannot(path, "begins the answer, which OpenAI cannot go on from")
            self._found.pop()
        if all(message["role"] == "system" for message in self._found):
            raise InvalidError("messages", "has to hold a message that is not empty")
        return self._found

    def _say(self, role: str, parts: list[Object]) -> None:
        """Add a message; a lone text without a mark is told as a text."""
        if not parts:
            return
        lone = len(parts) == 1 and parts[0].keys() == {"type", "text"}
        self._found.append({"role": role, "content": parts[0]["text"] if lone else parts})

    def _user(self, blocks: list[Object], path: str) -> None:
        parts: list[Object] = []
        shown: list[Object] = []
        for number, block in enumerate(blocks):
            here = f"{path}.{number}"
            if block["type"] == "tool_result":
                shown += self._result(block, here)
            else:
                part = self._part_or_none(block, here)
                if part is not None:
                    parts.append(part)
        self._say("user", shown + parts)

    def _assistant(self, blocks: list[Object], path: str) -> None:
        texts: list[str] = []
        calls: list[Object] = []
        reasoning: list[str] = []
        for number, block in enumerate(blocks):
            here, kind = f"{path}.{number}", block["type"]
            if kind == "text":
                refuse_others(block, _TEXT, here, self._ask)
                texts.append(read.checked_text(block.get("text"), f"{here}.text"))
            elif kind == "tool_use":
                calls.append(self._call(block, here))
            elif kind == "thinking":
                if block.get("signature") == UNSIGNED:
                    reasoning.append(read.checked_text(block.get("thinking"), f"{here}.thinking"))
            elif kind != "redacted_thinking":
                self._ask.cannot(here, f"is a block of the kind {kind}, which OpenAI does not have")
        content = "".join(texts)
        if not content and not calls:
            return
        message: Object = {"role": "assistant", "content": content or None}
        if calls:
            message["tool_calls"] = calls
        if reasoning:
            message["reasoning_content"] = "".join(reasoning)
        self._found.append(message)

    def _call(self, block: Object, path: str) -> Object:
        refuse_others(block, _USE, path, self._ask)
        call_id, name, given = read.call_of(block, path)
        self._calls.add(call_id)
        return {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments(given)},
        }

    def _result(self, block: Object, path: str) -> list[Object]:
        """Add the message of a tool; what of its result is no text comes back."""
        refuse_others(block, _RESULT, path, self._ask)
        call_id = read.answered_call(block, self._calls, path)
        content = block.get("content")
        found = [] if content is None else read.blocks(content, f"{path}.content")
        parts = self._parts(self._references(found, f"{path}.content"), f"{path}.content")
        texts = [part for part in parts if part["type"] == "text"]
        shown = [part for part in parts if part["type"] != "text"]
        if shown:
            texts.append({"type": "text", "text": "(The rest of this result is in the next user message.)"})
            shown.insert(0, {"type": "text", "text": f"Result of the tool call {call_id}:"})
        if block.get("is_error"):
            texts = _as_error(texts)
        self._say("tool", texts or [{"type": "text", "text": ""}])
        self._found[-1]["tool_call_id"] = call_id
        return shown

    def _references(self, blocks: list[Object], path: str) -> list[Object]:
        """The blocks of a result with the name of each tool that it loads as a text in the place of its reference."""
        shown = []
        for number, block in enumerate(blocks):
            if block["type"] != "tool_reference":
                shown.append(block)
                continue
            refuse_others(block, _REFERENCE, f"{path}.{number}", self._ask)
            name = read.checked_text(block.get("tool_name"), f"{path}.{number}.tool_name")
            self.loaded.add(name)
            shown.append({"type": "text", "text": name})
        return shown

    def _parts(self, blocks: list[Object], path: str) -> list[Object]:
        found = (self._part_or_none(block, f"{path}.{number}") for number, block in enumerate(blocks))
        return [part for part in found if part is not None]

    def _part_or_none(self, block: Object, path: str) -> Object | None:
        kind = block["type"]
        if kind == "text" and block.get("text") == "":
            return None
        if kind in {"text", "image", "document", "search_result"}:
            return self._part(block, path)
        self._ask.cannot(path, f"is a block of the kind {kind}, which OpenAI does not have")
        return None

    def _part(self, block: Object, path: str) -> Object:
        kind = block["type"]
        if kind == "text":
            refuse_others(block, _TEXT, path, self._ask)
            part: Object = {"type": "text", "text": read.checked_text(block.get("text"), f"{path}.text")}
        elif kind == "image":
            part = self._image(block, path)
        elif kind == "document":
            part = self._document(block, path)
        else:
            part = self._search(block, path)
        if self._marks and block.get("cache_control") is not None:
            part["prompt_cache_breakpoint"] = _mark(block["cache_control"], f"{path}.cache_control")
        return part

    def _image(self, block: Object, path: str) -> Object:
        refuse_others(block, _IMAGE, path, self._ask)
        if (block.get("transformations") or {}).get("oversized_image") == "error":
            self._ask.cannot(f"{path}.transformations", "has to be downsize at OpenAI")
        source = read.checked_object(block.get("source"), f"{path}.source")
        url = _address(source, f"{path}.source")
        if url is None:
            return self._left_out(f"{path}.source", "names a file kept at Anthropic: send its data")
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, block: Object, path: str) -> Object:
        refuse_others(block, _DOCUMENT, path, self._ask)
        self._no_citations(block, path)
        source = read.checked_object(block.get("source"), f"{path}.source")
        kind = source.get("type")
        head = [block[name] for name in ("title", "context") if block.get(name)]
        if kind == "text":
            head.append(read.checked_text(source.get("data"), f"{path}.source.data"))
            return {"type": "text", "text": "\n\n".join(head)}
        if kind == "content":
            inner = self._parts(
                read.blocks(source.get("content"), f"{path}.source.content"), f"{path}.source.content"
            )
            if any(part["type"] != "text" for part in inner):
                return self._left_out(f"{path}.source", "holds images, which OpenAI has no document for")
            return {"type": "text", "text": "\n\n".join([*head, *(part["text"] for part in inner)])}
        if kind != "base64":
            return self._left_out(f"{path}.source", "has to be the document's data at OpenAI")
        if block.get("context"):
            self._ask.cannot(f"{path}.context", "has no place beside a PDF at OpenAI")
        name = block.get("title") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": _address(source, f"{path}.source")}}

    def _search(self, block: Object, path: str) -> Object:
        refuse_others(block, _SEARCH, path, self._ask)
        self._no_citations(block, path)
        inner = self._parts(read.blocks(block.get("content"), f"{path}.content"), f"{path}.content")
        head = [read.checked_text(block.get(name), f"{path}.{name}") for name in ("title", "source")]
        return {"type": "text", "text": "\n\n".join([*head, *(part["text"] for part in inner)])}

    def _no_citations(self, block: Object, path: str) -> None:
        if (block.get("citations") or {}).get("enabled"):
            self._ask.cannot(f"{path}.citations", "is not offered by OpenAI")

    def _left_out(self, path: str, reason: str) -> Object:
        self._ask.cannot(path, reason)
        return {"type": "text", "text": "(Left out: it cannot be sent to this provider.)"}


def _address(source: Object, path: str) -> str | None:
    """A source as an address; None for a file kept at Anthropic."""
    kind = source.get("type")
    if kind == "base64":
        media_type = read.checked_text(source.get("media_type"), f"{path}.media_type")
        return f"data:{media_type};base64,{read.checked_text(source.get('data'), f'{path}.data')}"
    if kind == "url":
        return read.checked_text(source.get("url"), f"{path}.url")
    if kind != "file":
        raise InvalidError(f"{path}.type", "has to be base64, url or file")
    return None


def _mark(cache: Any, path: str) -> Object:
    ttl = read.checked_object(cache, path).get("ttl")
    if ttl not in _TTLS:
        raise InvalidError(f"{path}.ttl", "has to be 5m or 1h")
    return _TTLS[ttl]


def _as_error(texts: list[Object]) -> list[Object]:
    first = texts[0]["text"] if texts else ""
    if first.lower().startswith("error"):
        return texts
    head = {**(texts[0] if texts else {"type": "text"}), "text": f"Error: {first}".rstrip()}
    return [head, *texts[1:]]

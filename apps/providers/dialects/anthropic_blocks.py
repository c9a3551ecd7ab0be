# SPDX-License-Identifier: Apache-2.0
"""Words of Anthropic Messages that several translations use: content blocks, sources, ids and turns.

Functions build or read plain objects of the published form; none of them changes what it is given.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

Object = dict[str, Any]

# The only thinking that Anthropic takes back is signed. Where another provider's unsigned reasoning is shown to an
# Anthropic client as a thinking block, this stands for the signature, so that it is known again when it comes back.
UNSIGNED = "unsigned"
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
# A tool that cannot be mistaken for a client's: its input is the answer where any JSON object is asked for.
JSON_TOOL = "smartflow_json_object"
# What the provider's documentation tells clients to send for tool input that is no JSON object.
BROKEN_INPUT = "INVALID_JSON"

_data_url = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)
_id_chars = re.compile(r"[^a-zA-Z0-9_-]")
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder().decode


def text(words: str, cache: Object | None = None) -> Object:
    """A text block; Anthropic refuses empty ones, so ask first."""
    return {"type": "text", "text": words, **cached(cache)}


def cached(cache: Object | None) -> Object:
    """What to add to a block so that the prompt is cached up to it."""
    return {"cache_control": cache} if cache is not None else {}


def thinking(words: str, signature: str) -> Object:
    """A thinking block."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def redacted(data: str) -> Object:
    """Thinking that only the provider can read."""
    return {"type": "redacted_thinking", "data": data}


def tool_use(call_id: str, name: str, given: Object) -> Object:
    """A call of a tool."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def tool_result(call_id: str, content: str | list[Object], *, error: bool = False) -> Object:
    """What a tool gave back."""
    found: Object = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return {**found, "is_error": True} if error else found


def image(source: Object) -> Object:
    """An image block."""
    return {"type": "image", "source": source}


def document(source: Object, title: str = "") -> Object:
    """A document block."""
    return {"type": "document", "source": source, **({"title": title} if title else {})}


def base64_source(media_type: str, data: str) -> Object:
    """Bytes of an image or document in the request itself."""
    return {"type": "base64", "media_type": media_type, "data": data}


def url_source(url: str) -> Object:
    """An image or PDF that the provider fetches."""
    return {"type": "url", "url": url}


def text_source(words: str) -> Object:
    """A plain text as the source of a document."""
    return {"type": "text", "media_type": "text/plain", "data": words}


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of a data URL; None where it is another kind of address or is not base64."""
    found = _data_url.match(url)
    if found is None or not found[3]:
        return None
    media_type = found[1].lower()
    return ("image/jpeg" if media_type == "image/jpg" else media_type), url[found.end() :]


def clean_id(call_id: str) -> str:
    """An id of a tool call in the letters that Anthropic takes; equal ids stay equal."""
    return _id_chars.sub("_", call_id)


def arguments(given: Any) -> str:
    """The input of a tool call as JSON text."""
    return _encode(given).decode()


def parsed_input(words: str) -> Object | None:
    """Tool arguments as the object that Anthropic wants; none said is an empty one, None is no JSON object."""
    if not words.strip():
        return {}
    try:
        found = _any(words)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def input_or_broken(words: str) -> Object:
    """Tool arguments as a model wrote them: where they are no JSON object the text is kept under one name."""
    found = parsed_input(words)
    return {BROKEN_INPUT: words} if found is None else found


class Turns:
    """Messages in the order of Anthropic: neighbours of one role are one turn, and tool results come first in it."""

    def __init__(self) -> None:
        self.messages: list[Object] = []

    def add(self, role: str, blocks: Iterable[Object]) -> None:
        """Add blocks to the turn of a role; nothing is added where there are none."""
        given = list(blocks)
        if not given:
            return
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": given})
            return
        content: list[Object] = self.messages[-1]["content"]
        if given[0]["type"] == "tool_result" and content[-1]["type"] != "tool_result":
            place = next(
                (i for i, block in enumerate(content) if block["type"] != "tool_result"), len(content)
            )
            content[place:place] = given
        else:
            content.extend(given)

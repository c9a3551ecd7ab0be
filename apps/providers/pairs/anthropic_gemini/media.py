# SPDX-License-Identifier: Apache-2.0
"""Images, documents and search results of an Anthropic request as parts."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.anthropic_blocks import IMAGE_TYPES, PDF
from apps.providers.dialects.anthropic_request import blocks, checked_object, checked_text
from apps.providers.dialects.gemini_parts import file_data
from apps.providers.pairs.fields import only
from apps.providers.pairs.pair import Ask, InvalidError, Object


def parts_of(block: Mapping[str, Any], path: str, ask: Ask) -> list[Object]:
    """The parts of an `image`, `document` or `search_result` block; none where it cannot be said."""
    if block["type"] == "image":
        return _image(block, path, ask)
    found = _document(block, path, ask) if block["type"] == "document" else _search_result(block, path, ask)
    return [part for part in found if part.get("text") != ""]


def _image(block: Mapping[str, Any], path: str, ask: Ask) -> list[Object]:
    only(block, {"type", "source", "cache_control", "transformations"}, path, ask)
    wanted = block.get("transformations") or {}
    if checked_object(wanted, f"{path}.transformations").get("oversized_image") == "error":
        ask.cannot(
            f"{path}.transformations.oversized_image", "is error, and Gemini scales images without a word"
        )
    return _source(checked_object(block.get("source"), f"{path}.source"), f"{path}.source", IMAGE_TYPES, ask)


def _document(block: Mapping[str, Any], path: str, ask: Ask) -> list[Object]:
    only(block, {"type", "source", "cache_control", "citations", "context", "title"}, path, ask)
    _no_citations(block, path, ask)
    source = checked_object(block.get("source"), f"{path}.source")
    kind = source.get("type")
    if kind == "text":
        found = [{"text": checked_text(source.get("data"), f"{path}.source.data")}]
    elif kind == "content":
        found = _content(source, f"{path}.source.content", ask)
    else:
        found = _source(source, f"{path}.source", frozenset({PDF}), ask)
    # Anthropic shows both to the model, before the document.
    heads = [checked_text(block[name], f"{path}.{name}") for name in ("title", "context") if block.get(name)]
    return [*({"text": head} for head in heads), *found] if found else []


def _search_result(block: Mapping[str, Any], path: str, ask: Ask) -> list[Object]:
    only(block, {"type", "source", "title", "content", "cache_control", "citations"}, path, ask)
    _no_citations(block, path, ask)
    heads = [{"text": checked_text(block.get(name), f"{path}.{name}")} for name in ("title", "source")]
    return [*heads, *_content(block, f"{path}.content", ask)]


def _content(holder: Mapping[str, Any], path: str, ask: Ask) -> list[Object]:
    found: list[Object] = []
    for number, block in enumerate(blocks(holder.get("content"), path)):
        where = f"{path}.{number}"
        if block["type"] == "image":
            found += _image(block, where, ask)
        elif block["type"] == "text":
            found.append({"text": checked_text(block.get("text"), f"{where}.text")})
        else:
            raise InvalidError(f"{where}.type", "has to be text or image")
    return found


def _source(source: Mapping[str, Any], path: str, types: frozenset[str], ask: Ask) -> list[Object]:
    kind = source.get("type")
    if kind == "base64":
        media_type = checked_text(source.get("media_type"), f"{path}.media_type")
        if media_type not in types:
            raise InvalidError(f"{path}.media_type", f"has to be {', '.join(sorted(types))}")
        data = checked_text(source.get("data"), f"{path}.data")
        return [{"inlineData": {"mimeType": media_type, "data": data}}]
    if kind == "url":
        url = checked_text(source.get("url"), f"{path}.url")
        if not url.startswith(("https://", "http://")):
            raise InvalidError(f"{path}.url", "has to be an address that begins with https://")
        return [{"fileData": file_data(url, PDF if types == {PDF} else "")}]
    if kind == "file":
        ask.cannot(f"{path}.file_id", "names a file that is kept by Anthropic")
        return []
    raise InvalidError(f"{path}.type", "has to be base64, url or file")


def _no_citations(block: Mapping[str, Any], path: str, ask: Ask) -> None:
    wanted = block.get("citations") or {}
    if checked_object(wanted, f"{path}.citations").get("enabled") is True:
        ask.cannot(f"{path}.citations.enabled", "is true, and Gemini does not cite what it is given")

# SPDX-License-Identifier: Apache-2.0
"""Data and files of a Gemini request as images and documents."""

import binascii
from base64 import b64decode
from typing import Any

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects.gemini_parts import camel, kept_by_google, media_type, standard_base64
from apps.providers.pairs.fields import only
from apps.providers.pairs.gemini_anthropic.read import as_text
from apps.providers.pairs.pair import Ask, InvalidError, Object


def inline(given: Any, path: str, ask: Ask) -> Object | None:
    """The block for an `inlineData`; None where it cannot be said."""
    blob = camel(given, path)
    only(blob, {"mimeType", "data", "displayName"}, path, ask)
    mime = _mime(blob.get("mimeType"), path)
    data = standard_base64(as_text(blob.get("data"), f"{path}.data"))
    title = as_text(blob.get("displayName", ""), f"{path}.displayName")
    if mime in blocks.IMAGE_TYPES:
        return blocks.image(blocks.base64_source(mime, data))
    if mime == blocks.PDF:
        return blocks.document(blocks.base64_source(mime, data), title)
    if not mime.startswith("text/"):
        ask.cannot(path, f"is {mime}: Anthropic takes JPEG, PNG, GIF and WebP images, PDF and plain text")
        return None
    try:
        words = b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidError(f"{path}.data", "must be base64 of a text in UTF-8") from None
    return blocks.document(blocks.text_source(words), title)


def file(given: Any, path: str, ask: Ask) -> Object | None:
    """The block for a `fileData`; None where it cannot be said."""
    found = camel(given, path)
    only(found, {"mimeType", "fileUri", "displayName"}, path, ask)
    uri = as_text(found.get("fileUri"), f"{path}.fileUri")
    if kept_by_google(uri) or not uri.startswith(("https://", "http://")):
        ask.cannot(
            f"{path}.fileUri", "names a file that only Google's models can read: send it as inlineData"
        )
        return None
    mime = _mime(found.get("mimeType") or media_type(uri), path)
    if mime in blocks.IMAGE_TYPES:
        return blocks.image(blocks.url_source(uri))
    if mime == blocks.PDF:
        return blocks.document(
            blocks.url_source(uri), as_text(found.get("displayName", ""), f"{path}.displayName")
        )
    ask.cannot(path, f"is {mime}: Anthropic fetches JPEG, PNG, GIF and WebP images and PDF")
    return None


def _mime(given: Any, path: str) -> str:
    mime = as_text(given, f"{path}.mimeType").partition(";")[0].strip().lower()
    if not mime:
        raise InvalidError(f"{path}.mimeType", "is required")
    return "image/jpeg" if mime == "image/jpg" else mime

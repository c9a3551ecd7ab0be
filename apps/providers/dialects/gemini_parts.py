# SPDX-License-Identifier: Apache-2.0
"""Gemini's contents and parts: names in either spelling, calls and the responses to them, data beside text.

Google's JSON takes `inlineData` and `inline_data` alike; what a client named itself (arguments, schemas) is left alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from apps.providers.pairs.pair import InvalidError

Object = dict[str, Any]

# What Google tells clients to send with calls that no Gemini model made (ai.google.dev/gemini-api/docs/thought-signatures).
NO_SIGNATURE = "skip_thought_signature_validator"
_MEDIA_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "avif": "image/avif", "bmp": "image/bmp", "tif": "image/tiff",
    "tiff": "image/tiff", "svg": "image/svg+xml", "pdf": "application/pdf", "json": "application/json",
    "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html", "xml": "text/xml",
    "wav": "audio/wav", "mp3": "audio/mp3", "aac": "audio/aac", "ogg": "audio/ogg", "flac": "audio/flac",
    "mp4": "video/mp4", "mov": "video/mov", "mpeg": "video/mpeg", "webm": "video/webm",
}  # fmt: skip
_KEPT_BY_GOOGLE = ("gs://", "https://generativelanguage.googleapis.com/", "files/")


def camel_name(name: str) -> str:
    """`inline_data` as `inlineData`; a name that is spelt so already is returned itself."""
    if "_" not in name:
        return name
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def word(given: Any) -> str:
    """A text that should be one of some words; what is no text is none of them."""
    return given if isinstance(given, str) else ""


def camel(given: Any, param: str) -> Mapping[str, Any]:
    """An object with its own names (not those within) in Google's published spelling and its nulls left out."""
    if not isinstance(given, dict):
        raise InvalidError(param, "must be an object")
    if None not in given.values() and "_" not in "".join(given):
        return given
    found: Object = {}
    for name, value in given.items():
        if value is None:
            continue
        spelt = camel_name(name)
        if spelt in found:
            raise InvalidError(f"{param}.{spelt}" if param else spelt, "is given twice")
        found[spelt] = value
    return found


def objects(given: Any, param: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each object of a list with its path; one object stands for a list of one, as in Google's own JSON."""
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list):
        raise InvalidError(param, "must be a list")
    for number, value in enumerate(given):
        path = f"{param}[{number}]"
        if type(value) is dict and None not in value.values() and "_" not in "".join(value):
            yield path, value
        else:
            yield path, camel(value, path)


def parts_of(content: Mapping[str, Any], param: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts of a content with their paths."""
    return objects(content.get("parts", []), f"{param}.parts")


def system_texts(given: Any, param: str = "systemInstruction") -> list[str]:
    """The texts of a system instruction, which may be a content or a plain text."""
    if isinstance(given, str):
        return [given]
    texts = []
    for path, part in parts_of(camel(given, param), param):
        if not isinstance(part.get("text"), str):
            raise InvalidError(path, "must be text: a system instruction takes nothing else")
        texts.append(part["text"])
    return texts


class Calls:
    """The function calls of a history under ids, also where a client gives none; responses find theirs."""

    def __init__(self, prefix: str = "call_") -> None:
        self._prefix = prefix
        self._made = 0
        self._open: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}

    def opened(self, name: str, given: Any) -> str:
        """The id of a call: its own, or one that stays the same however often the history is sent."""
        call_id = given if isinstance(given, str) else ""
        while not call_id:
            self._made += 1
            call_id = f"{self._prefix}{self._made}"
            if call_id in self._names:
                call_id = ""
        self._open.setdefault(name, []).append(call_id)
        self._names[call_id] = name
        return call_id

    def answered(self, name: str, given: Any, param: str) -> str:
        """The id of the call that a response is for: the one it names, else the first open one of that function."""
        if isinstance(given, str) and given in self._names:
            waiting = self._open[self._names[given]]
            if given in waiting:
                waiting.remove(given)
            return given
        waiting = self._open.get(name, [])
        if not waiting:
            raise InvalidError(param, f"answers a call of {name!r} that was not made")
        return waiting.pop(0)

    def waiting(self) -> str:
        """The name of a function whose call has no response yet; empty when all have theirs."""
        return next((name for name, calls in self._open.items() if calls), "")


def data_url(mime: str, data: str) -> str:
    """Base64 data as a URL."""
    return f"data:{mime};base64,{standard_base64(data)}"


def standard_base64(data: str) -> str:
    """Base64 in its standard alphabet: Google's JSON takes the one for URLs as well."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data + "=" * (-len(data) % 4)


def from_data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64) of a data URL; None when it is another URL or not in base64."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    mime, base64, rest = head.partition(";base64")
    return (mime.partition(";")[0], data) if comma and base64 and not rest and mime else None


def file_data(url: str, mime: str = "") -> Object:
    """A `fileData` for a URL; the media type is what the name's ending says, and left out where it says nothing."""
    mime = mime or media_type(url)
    return {"fileUri": url, **({"mimeType": mime} if mime else {})}


def media_type(url: str) -> str:
    """The media type that a URL's ending stands for; empty when it stands for none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower(), "")


def kept_by_google(uri: str) -> bool:
    """Whether a file lies where only Google's own models can read it."""
    return uri.startswith(_KEPT_BY_GOOGLE)

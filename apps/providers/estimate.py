# SPDX-License-Identifier: Apache-2.0
"""How many tokens a request may be, before anybody has counted: a bound for reservations, a likely number for the rest.

No vocabulary is shipped: those of the big providers are secret, megabytes large, or fetched at run time. But every one
of them is made of pieces of at least one byte of UTF-8, so a text never has more tokens than bytes. Pictures, sound,
film and files do not follow that; each has an allowance below, in the figures that providers publish.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A chat's own marks around messages, tools and answers, beyond the bytes of the JSON that describes them.
OVERHEAD = 1024
# What a file, a stored prompt or a page to be fetched may hold where the model's context is not known.
UNKNOWN_CONTEXT = 1_000_000
# Where parts of messages are. What tools are given and give back is free JSON, which may look like a part and is text.
_PLACES = frozenset((
    "messages", "contents", "content", "parts", "system", "systemInstruction", "system_instruction", "input", "output",
    "functionResponse", "function_response",
))  # fmt: skip
_BASE64_MARK = ";base64,"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The stated figures of a dialect: most tokens of a picture, most tokens per kilobyte of sound and of film,
    tokens that the provider adds for tools, and bytes of text to a token on average."""

    image: int
    sound: int
    film: int
    tools: int
    bytes_per_token: float


ALLOWANCES: Mapping[str, Allowance] = {
    # 10,000 patches of 32 pixels and a factor of up to 1.2; a token per 100 ms of sound at no less than 4 kbit/s.
    "openai": Allowance(image=12_500, sound=20, film=20, tools=512, bytes_per_token=4.0),
    # 2576 pixels at the longer side are at most 4,784; the tool prompt is at most 735.
    "anthropic": Allowance(image=5_000, sound=20, film=20, tools=1_024, bytes_per_token=3.0),
    # 258 a tile and 20 tiles; 32 tokens a second of sound and 295 of film, at no less than 4 and 16 kbit/s.
    "gemini": Allowance(image=5_200, sound=64, film=148, tools=512, bytes_per_token=4.0),
}
_USUAL = ALLOWANCES["openai"]
# These count a picture in thousands of tokens where their siblings count hundreds: 2,833 and 5,667 for each of 8 tiles.
_DEAR_IMAGES = (("gpt-4o-mini", 48_200),)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a request holds beside text: pictures, bytes of sound and film, and things whose size nobody can see.

    `inline` are the bytes that all of it takes up in the request.
    """

    images: int = 0
    sound: int = 0
    film: int = 0
    unseen: int = 0
    inline: int = 0


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The most input tokens a request can be counted as, those on average, and whether it holds nothing but text."""

    most: int
    likely: int
    text_only: bool


def reckon(
    body: bytes, fields: Mapping[str, Any], *, dialect: str, upstream_model: str = "", context: int = 0
) -> Reckoning:
    """Bound and likely number in one look; `context` of the model, 0 where it is not known.

    What the provider adds by itself while it answers (pages it searches, for one) is within the bound only by the
    context; what nobody can see counts as nothing in the likely number.
    """
    allowance = ALLOWANCES.get(dialect, _USUAL)
    size = len(body)
    most = size + OVERHEAD + (allowance.tools if fields.get("tools") else 0)
    weight = weigh(fields)
    if weight is _NOTHING:
        likely_ = -int(-size // allowance.bytes_per_token)
        return Reckoning(context if 0 < context < most else most, likely_, text_only=True)
    # Most pictures are a quarter of the largest, most sound and film four times as dense as the thinnest.
    image = _image(allowance, upstream_model)
    likely_ = -int(-(size - weight.inline) // allowance.bytes_per_token) + weight.images * (image // 4)
    likely_ += (weight.sound * allowance.sound + weight.film * allowance.film) // 4000
    if weight.unseen:
        return Reckoning(context or max(UNKNOWN_CONTEXT, size), likely_, text_only=False)
    most += weight.images * image - weight.inline
    most += -(-weight.sound * allowance.sound // 1000) - (-weight.film * allowance.film // 1000)
    return Reckoning(min(most, context) if context else most, likely_, text_only=False)


def bound(
    body: bytes, fields: Mapping[str, Any], *, dialect: str, upstream_model: str = "", context: int = 0
) -> int:
    """The most input tokens that a request can be counted as; see `reckon`."""
    return reckon(body, fields, dialect=dialect, upstream_model=upstream_model, context=context).most


def likely(size: int, *, dialect: str) -> int:
    """The tokens of so many bytes of text on average: for counting and settling where the provider says nothing."""
    allowance = ALLOWANCES.get(dialect, _USUAL)
    return -int(-size // allowance.bytes_per_token)


def likely_input(body: bytes, fields: Mapping[str, Any], *, dialect: str, upstream_model: str = "") -> int:
    """The input tokens of a request on average; see `reckon`."""
    return reckon(body, fields, dialect=dialect, upstream_model=upstream_model).likely


_NOTHING = Weight()


def weigh(fields: Mapping[str, Any]) -> Weight:
    """Look through a request of any dialect for what is not text; how long its texts are makes no difference."""
    images = sound = film = inline = 0
    unseen = sum(1 for name in _STORED if fields.get(name))
    unseen += _fetched(fields["tools"]) if fields.get("tools") else 0
    stack: list[Any] = [fields]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
            continue
        if not isinstance(value, dict):
            continue
        found = _media(value) if any(map(value.__contains__, _PART)) else None
        if found is None:
            for name, inner in value.items():
                if type(inner) is not str and name in _PLACES and not _is_free(value, name):
                    stack.append(inner)
            continue
        kind, size = found
        inline += size
        images += kind == "image"
        sound += size if kind == "audio" else 0
        film += size if kind == "video" else 0
        unseen += kind == "unseen"
    if not (images or inline or unseen or sound or film):
        return _NOTHING
    return Weight(images, sound, film, unseen, inline)


def _is_free(part: Mapping[str, Any], name: str) -> bool:
    return name in {"input", "output"} and not isinstance(part[name], list)


def _media(part: Mapping[str, Any]) -> tuple[str, int] | None:
    """(kind, bytes in the request) of a part that is no text; None for everything else."""
    kind = part.get("type")
    kind = kind if isinstance(kind, str) else ""
    if kind in {"image_url", "input_image"}:
        return "image", _inline(part.get("image_url"))
    if kind == "input_audio":
        return "audio", _inline(part.get("input_audio"))
    if kind in {"file", "input_file"}:
        return "unseen", _inline(part.get("file", part))
    source = part.get("source")
    if kind in {"image", "document"} and isinstance(source, dict):
        return _sourced(kind, source)
    blob = part.get("inlineData", part.get("inline_data"))
    if isinstance(blob, dict):
        media = str(blob.get("mimeType", blob.get("mime_type", ""))).partition("/")[0]
        return (media if media in {"image", "audio", "video"} else "unseen"), _inline(blob)
    if "fileData" in part or "file_data" in part:
        return "unseen", 0
    return None


def _sourced(kind: str, source: Mapping[str, Any]) -> tuple[str, int] | None:
    if kind == "image":
        return "image", _inline(source)
    # A document of text is counted by its bytes like any other text.
    return None if source.get("type") in {"text", "content"} else ("unseen", _inline(source))


def _inline(value: Any) -> int:
    """How many bytes of the request are data: a whole base64 text, or what follows the mark in a data address."""
    if isinstance(value, dict):
        return max((_inline(value.get(name)) for name in ("data", "url", "file_data")), default=0)
    if not isinstance(value, str):
        return 0
    if value.startswith("data:") and _BASE64_MARK in value[:200]:
        return len(value) - value.index(_BASE64_MARK) - len(_BASE64_MARK)
    return 0 if value.startswith(("http:", "https:", "gs:", "s3:")) else len(value)


# Fields that bring in what is kept at the provider, or what it will fetch.
_STORED = ("previous_response_id", "conversation", "cachedContent", "cached_content", "web_search_options")
_SEARCHES = ("googleSearch", "google_search", "urlContext", "url_context")
# What makes an object a part that may be something else than text.
_PART = ("type", "inlineData", "inline_data", "fileData", "file_data")


def _fetched(tools: Any) -> int:
    """How many of some tools bring in what nobody can see before."""
    found = 0
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            named = str(tool.get("type", "")).startswith(("web_", "file_search", "code_"))
            found += named or any(map(tool.__contains__, _SEARCHES))
    return found


def _image(allowance: Allowance, upstream_model: str) -> int:
    for name, most in _DEAR_IMAGES:
        if upstream_model.startswith(name):
            return most
    return allowance.image

# SPDX-License-Identifier: Apache-2.0
"""How one provider's signed thinking passes through the clients of another dialect and comes back unchanged.

A signature is worth something only to the provider that made it. Anthropic clients send `thinking.signature` back as
it was, Gemini clients `thoughtSignature` (which must be base64): both carry the other's under a name of ours, so that
it is known again and never reaches a provider that did not make it. A request that stays in its dialect may hold
carried ones as well, where a conversation went on with another provider: `own_thinking` and `own_signatures` take
them out, and give the request back itself where there is nothing to do.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from apps.providers.dialects.anthropic_blocks import UNSIGNED
from apps.providers.dialects.gemini_parts import NO_SIGNATURE
from apps.providers.dialects.gemini_thinking import takes_levels

Object = dict[str, Any]

# Where a Gemini signature was, seen from the thinking block that carries it: on the thought itself, on the part after
# or before it, or on an empty part of its own.
SELF, NEXT, BEFORE, ALONE = "self", "next", "before", "alone"
_PLACES = frozenset({SELF, NEXT, BEFORE, ALONE})
_GEMINI = "gemini-"
# Twelve bytes are sixteen letters of base64, whatever follows.
_ANTHROPIC = b"anthropic-1:"
_ANTHROPIC_BASE64 = urlsafe_b64encode(_ANTHROPIC).decode()
_BLOCKS = {
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder().decode


def from_gemini(signature: str, place: str) -> str:
    """The signature of an Anthropic thinking block that carries one of Gemini's."""
    return f"{_GEMINI}{place}:{signature}"


def to_gemini(signature: str) -> tuple[str, str] | None:
    """Place and Gemini signature that a thinking block carries; None where another made it."""
    head, colon, rest = signature.partition(":")
    place = head.removeprefix(_GEMINI)
    if not colon or not head.startswith(_GEMINI) or place not in _PLACES or not rest:
        return None
    return place, rest


def from_anthropic(blocks: Sequence[Object]) -> str:
    """The `thoughtSignature` that carries thinking blocks whole: Gemini clients need not send thoughts back."""
    return urlsafe_b64encode(_ANTHROPIC + _encode(blocks)).decode()


def to_anthropic(signature: str) -> list[Object] | None:
    """The thinking blocks that a `thoughtSignature` carries; None where another made it. ValueError: it was changed."""
    if signature[: len(_ANTHROPIC_BASE64)] != _ANTHROPIC_BASE64:
        return None
    padded = signature + "=" * (-len(signature) % 4)
    try:
        # Some clients answer in the standard alphabet.
        raw = urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))
        blocks = _any(raw[len(_ANTHROPIC) :])
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("was changed since it was given out") from None
    if not isinstance(blocks, list) or not all(_is_thinking(block) for block in blocks):
        raise ValueError("was changed since it was given out")
    return blocks


def own_thinking(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Messages request for Anthropic itself without thinking that other providers' models did."""
    messages = fields.get("messages")
    if not isinstance(messages, list) or not any(map(_has_foreign_thinking, messages)):
        return fields
    own = (_own_message(message) for message in messages)
    # A message of nothing but another's thinking has nothing left to say.
    return {**fields, "messages": [message for message in own if message is not None]}


def own_signatures(fields: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """A generateContent request for Gemini itself without signatures that carry Anthropic's thinking."""
    contents = fields.get("contents")
    if not isinstance(contents, list) or not any(map(_has_foreign_signature, contents)):
        return fields
    return {**fields, "contents": [_own_content(content, takes_levels(model)) for content in contents]}


def _has_foreign_thinking(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(map(_is_foreign_thinking, content))


def _is_foreign_thinking(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return isinstance(signature, str) and (signature == UNSIGNED or to_gemini(signature) is not None)


def _own_message(message: Any) -> Any:
    if not _has_foreign_thinking(message):
        return message
    kept = [block for block in message["content"] if not _is_foreign_thinking(block)]
    return {**message, "content": kept} if kept else None


def _has_foreign_signature(content: Any) -> bool:
    parts = content.get("parts") if isinstance(content, dict) else None
    return isinstance(parts, list) and any(map(_is_foreign_part, parts))


def _is_foreign_part(part: Any) -> bool:
    signature = part.get("thoughtSignature") if isinstance(part, dict) else None
    return isinstance(signature, str) and signature.startswith(_ANTHROPIC_BASE64)


def _own_content(content: Any, wants_signatures: bool) -> Any:
    if not _has_foreign_signature(content):
        return content
    return {**content, "parts": [_own_part(part, wants_signatures) for part in content["parts"]]}


def _own_part(part: Any, wants_signatures: bool) -> Any:
    if not _is_foreign_part(part):
        return part
    if wants_signatures and "functionCall" in part:
        return {**part, "thoughtSignature": NO_SIGNATURE}
    return {name: value for name, value in part.items() if name != "thoughtSignature"}


def _is_thinking(block: Any) -> bool:
    if not isinstance(block, dict) or not all(isinstance(value, str) for value in block.values()):
        return False
    return block.keys() == _BLOCKS.get(block.get("type", ""))

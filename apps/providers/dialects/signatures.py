# SPDX-License-Identifier: Apache-2.0
"""How one provider's signed thinking passes through the clients of another dialect and comes back unchanged.

A signature is worth something only to the provider that made it. Anthropic clients send `thinking.signature` back as
it was, Gemini clients `thoughtSignature` (which must be base64): both carry the other's under a name of ours, so that
it is known again and never reaches a provider that did not make it.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

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


def _is_thinking(block: Any) -> bool:
    if not isinstance(block, dict) or not all(isinstance(value, str) for value in block.values()):
        return False
    return block.keys() == _BLOCKS.get(block.get("type", ""))

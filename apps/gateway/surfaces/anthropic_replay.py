# SPDX-License-Identifier: Apache-2.0
"""A whole Anthropic message told as the stream it could have come in."""

from typing import Any

from apps.gateway.surfaces.anthropic_texts import CALLS
from apps.gateway.surfaces.surface import Object
from apps.providers.dialects.anthropic_blocks import arguments

# What an answer says at its end and not at its start.
_END = ("stop_reason", "stop_sequence", "stop_details", "container")
_BESIDE = ("context_management", "smartflow")


def events_of(message: Object) -> list[Object]:
    """The events, with one start and one stop, each block in as few deltas as it can come in."""
    usage = message.get("usage") or {}
    head = {name: value for name, value in message.items() if name not in {*_END, *_BESIDE}}
    told = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    told["usage"] = {**usage, "output_tokens": min(1, usage.get("output_tokens") or 0)}
    events: list[Object] = [{"type": "message_start", "message": told}]
    for index, block in enumerate(message["content"]):
        events += _block(index, block)
    delta = {name: message[name] for name in _END if name in message}
    beside = {name: message[name] for name in _BESIDE if name in message}
    end = {"type": "message_delta", "delta": {"stop_sequence": None, **delta}, "usage": usage, **beside}
    return [*events, end, {"type": "message_stop"}]


def _block(index: int, block: Object) -> list[Object]:
    kind = block.get("type")
    begun, deltas = dict(block), []
    if kind == "text":
        begun["text"] = ""
        deltas = _texts("text_delta", "text", block)
        if block.get("citations"):
            begun["citations"] = []
            deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
    elif kind == "thinking":
        begun |= {"thinking": "", "signature": ""}
        deltas = _texts("thinking_delta", "thinking", block) + _texts("signature_delta", "signature", block)
    elif kind in CALLS and isinstance(block.get("input"), dict):
        begun["input"] = {}
        deltas = [{"type": "input_json_delta", "partial_json": arguments(block["input"])}]
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _texts(kind: str, name: str, block: Object) -> list[dict[str, Any]]:
    return [{"type": kind, name: block[name]}] if block.get(name) else []

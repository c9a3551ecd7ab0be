# SPDX-License-Identifier: Apache-2.0
"""A whole Gemini answer as an Anthropic message, and counts of tokens."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.providers.pairs.anthropic_gemini.stream import Events
from apps.providers.pairs.pair import Ask, Object

_object = msgspec.json.Decoder(dict[str, Any]).decode
_FIELD_OF_DELTA = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


def message_of(body: Mapping[str, Any], ask: Ask) -> Object:
    """The whole message: what the events of a stream with this one answer come to."""
    events = Events(ask)
    return fold([*events.feed(body), *events.end()])


def fold(events: list[Object]) -> Object:
    """The message that the events of one stream amount to."""
    message: Object = dict(events[0]["message"])
    content: list[Object] = []
    for event in events:
        kind = event["type"]
        if kind == "content_block_start":
            content.append(dict(event["content_block"]))
        elif kind == "content_block_delta":
            _take(content[-1], event["delta"])
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = event["usage"]
    message["content"] = content
    return message


def count_of(body: Mapping[str, Any]) -> Object:
    """`totalTokens`, which has the cached ones in it, as `input_tokens`."""
    total = body.get("totalTokens", 0)
    if type(total) is not int or total < 0:
        raise ValueError("no count of tokens")
    return {"input_tokens": total}


def _take(block: Object, delta: Object) -> None:
    kind = delta["type"]
    if kind == "input_json_delta":
        block["input"] = _object(delta["partial_json"])
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        name, given = _FIELD_OF_DELTA[kind]
        block[name] += delta[given]

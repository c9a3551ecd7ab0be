# SPDX-License-Identifier: Apache-2.0
"""The texts of Anthropic Messages: how policies see blocks of a request and of an answer.

Tool input is shown as the JSON text it is in a stream, so that a whole answer and a stream read the same. Thinking that
is rewritten loses its signature, which would no longer verify: `UNSIGNED` takes its place, by which the block is known
when it comes back and kept away from Anthropic.
"""

from collections.abc import Mapping
from typing import Any

from apps.gateway.surfaces.reading import Shadow, collect, collect_member, is_media, without
from apps.gateway.surfaces.surface import Object
from apps.gateway.texts import Slot
from apps.providers.dialects.anthropic_blocks import UNSIGNED, arguments, input_or_broken

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_ROLES = {"document": "document", "search_result": "document"}
_OF_MESSAGES = frozenset({"user", "assistant", "system"})
# Of an answer: what no person or model wrote, and what is looked at block by block.
_HEAD = frozenset({"content", "usage", "model", "type", "role"})


def of_request(fields: Object) -> list[Slot]:
    """All texts of a request."""
    found: list[Slot] = []
    for name in fields:
        if name == "messages":
            for message in fields[name]:
                role = message["role"] if message["role"] in _OF_MESSAGES else "document"
                for member in message:
                    collect_member(message, member, role, found, view)
        elif name != "model":
            collect_member(fields, name, "system" if name == "system" else "document", found, view)
    return found


def of_answer(answer: Object) -> list[Any]:
    """What policies review of a whole message."""
    return [without(answer, _HEAD), *(view(block, "assistant")[0] for block in answer["content"])]


def view(block: Object, role: str) -> tuple[Object, str]:
    """A block as policies see it, and the role of its texts."""
    kind = block.get("type")
    if not isinstance(kind, str):
        return block, role
    if kind in CALLS:
        if isinstance(block.get("input"), dict) and "arguments" not in block:
            return _call(block), role
    elif kind == "thinking":
        if "reasoning_content" not in block:
            return _thinking(block), "reasoning"
    elif kind == "base64":
        if is_media(block.get("media_type"), block.get("data")):
            return without(block, {"data"}), role
    elif kind.endswith("tool_result"):
        return block, "tool"
    return block, _ROLES.get(kind, role)


def _call(block: Object) -> Shadow:
    given = block["input"]
    # For its depth alone.
    collect(given, "tool_call", [], lambda value, role: (value, role))
    shown = {name: value for name, value in block.items() if name != "input"}

    def put(place: str, text: str) -> None:
        if place == "arguments":
            block["input"] = input_or_broken(text)
        else:
            block[place] = text

    return Shadow({**shown, "arguments": arguments(given)} if given else shown, put)


def _thinking(block: Object) -> Shadow:
    shown: Mapping[str, Any] = {
        "reasoning_content" if name == "thinking" else name: value for name, value in block.items()
    }

    def put(place: str, text: str) -> None:
        block["thinking" if place == "reasoning_content" else place] = text
        block["signature"] = UNSIGNED

    return Shadow(shown, put)

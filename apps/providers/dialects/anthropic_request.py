# SPDX-License-Identifier: Apache-2.0
"""Reading a request of an Anthropic client: what is wrong with it is told with its own path (`messages.0.content.1`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.providers.pairs.pair import InvalidError

Object = dict[str, Any]

_ROLES = ("user", "assistant", "system")


def checked_object(value: Any, path: str) -> Object:
    """An object, or InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError(path, "has to be an object")
    return value


def checked_list(value: Any, path: str) -> list[Any]:
    """A list, or InvalidError."""
    if not isinstance(value, list):
        raise InvalidError(path, "has to be a list")
    return value


def checked_text(value: Any, path: str) -> str:
    """A text, or InvalidError."""
    if not isinstance(value, str):
        raise InvalidError(path, "has to be a text")
    return value


def checked_count(value: Any, path: str, least: int) -> int:
    """A whole number from a least one on, or InvalidError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidError(path, f"has to be a whole number, {least} or more")
    return value


def checked_number(value: Any, path: str, low: float, high: float) -> float:
    """A number within bounds, or InvalidError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidError(path, f"has to be a number from {low:g} to {high:g}")
    return value


def blocks(content: Any, path: str) -> list[Object]:
    """Content as blocks: a text is short for one text block, and empty texts are no blocks."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    found = checked_list(content, path)
    for number, block in enumerate(found):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise InvalidError(f"{path}.{number}", "has to be an object with a `type`")
    return found


def system(fields: Mapping[str, Any]) -> list[Object]:
    """The text blocks of the system prompt."""
    value = fields.get("system")
    found = [] if value is None else blocks(value, "system")
    for number, block in enumerate(found):
        if block["type"] != "text":
            raise InvalidError(f"system.{number}.type", "has to be text")
        checked_text(block.get("text"), f"system.{number}.text")
    return found


def messages(fields: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Object]]]:
    """Path, role and blocks of each message; at least one."""
    found = checked_list(fields.get("messages"), "messages")
    if not found:
        raise InvalidError("messages", "has to hold at least one message")
    for number, message in enumerate(found):
        path = f"messages.{number}"
        role = checked_object(message, path).get("role")
        if role not in _ROLES:
            raise InvalidError(f"{path}.role", "has to be user, assistant or system")
        yield path, role, blocks(message.get("content"), f"{path}.content")


def call_of(block: Object, path: str) -> tuple[str, str, Object]:
    """Id, name and input of a `tool_use` block."""
    given = block.get("input")
    if not isinstance(given, dict):
        raise InvalidError(f"{path}.input", "has to be an object")
    return checked_text(block.get("id"), f"{path}.id"), checked_text(block.get("name"), f"{path}.name"), given


def answered_call(block: Object, calls: Mapping[str, Any] | set[str], path: str) -> str:
    """The id that a `tool_result` block answers; InvalidError where no call before it has that id."""
    call_id = checked_text(block.get("tool_use_id"), f"{path}.tool_use_id")
    if call_id not in calls:
        raise InvalidError(f"{path}.tool_use_id", "answers no tool_use of a message before it")
    return call_id

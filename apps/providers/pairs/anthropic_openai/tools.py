# SPDX-License-Identifier: Apache-2.0
"""Tools of a Messages request, and how they may be used, in OpenAI's form."""

from collections.abc import Mapping, Set
from typing import Any

from apps.providers.dialects import anthropic_request as read
from apps.providers.dialects.anthropic_blocks import arguments
from apps.providers.pairs.anthropic_openai.messages import refuse_others
from apps.providers.pairs.pair import Ask, InvalidError, Object

# Fields of tools that change nothing about the answer.
LET_GO = (
    ("cache_control", "OpenAI caches tools by itself"),
    ("eager_input_streaming", "how soon parts of the input are streamed"),
)
_TOOL = frozenset(
    {"type", "name", "description", "input_schema", "strict", "input_examples"}
    | {"defer_loading", "allowed_callers"}
    | {name for name, _ in LET_GO}
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def translate(fields: Mapping[str, Any], body: Object, loaded: Set[str], ask: Ask) -> None:
    """Add `tools`, `tool_choice` and `parallel_tool_calls`; a deferred tool is declared once it is loaded."""
    given = fields.get("tools")
    found: list[Object] = []
    for number, tool in enumerate(read.checked_list(given, "tools") if given is not None else ()):
        function = _tool(read.checked_object(tool, f"tools.{number}"), f"tools.{number}", ask)
        if function is not None and (not tool.get("defer_loading") or function["name"] in loaded):
            found.append({"type": "function", "function": function})
    choice = fields.get("tool_choice")
    if not found:
        if not given and choice is not None:
            kind = read.checked_object(choice, "tool_choice").get("type")
            if kind not in {"auto", "none"}:
                raise InvalidError("tool_choice", "needs tools to choose from")
        return
    body["tools"] = found
    if choice is None:
        return
    kind = read.checked_object(choice, "tool_choice").get("type")
    if kind == "tool":
        name = read.checked_text(choice.get("name"), "tool_choice.name")
        if all(tool["function"]["name"] != name for tool in found):
            raise InvalidError("tool_choice.name", "names no tool of the request")
        body["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        body["tool_choice"] = _CHOICES[kind]
    else:
        raise InvalidError("tool_choice.type", "has to be auto, any, tool or none")
    if choice.get("disable_parallel_tool_use"):
        body["parallel_tool_calls"] = False


def _tool(tool: Object, path: str, ask: Ask) -> Object | None:
    if tool.get("type") not in {None, "custom"}:
        ask.cannot(path, "is a tool that Anthropic defines, which OpenAI does not have")
        return None
    refuse_others(tool, _TOOL, path, ask)
    if tool.get("allowed_callers") not in (None, ["direct"]):
        ask.cannot(f"{path}.allowed_callers", "has to be direct at OpenAI")
    found: Object = {"name": read.checked_text(tool.get("name"), f"{path}.name")}
    description = _description(tool, path)
    if description:
        found["description"] = description
    found["parameters"] = read.checked_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is not None:
        found["strict"] = bool(tool["strict"])
    return found


def _description(tool: Object, path: str) -> str:
    """The description, with the examples that OpenAI has no field for."""
    words = read.checked_text(tool.get("description") or "", f"{path}.description")
    examples = tool.get("input_examples")
    if not examples:
        return words
    told = "\n".join(arguments(example) for example in read.checked_list(examples, f"{path}.input_examples"))
    return f"{words}\n\nExamples of input:\n{told}".strip()

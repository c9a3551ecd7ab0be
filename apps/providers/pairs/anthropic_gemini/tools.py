# SPDX-License-Identifier: Apache-2.0
"""Tools of an Anthropic request and how they may be used."""

from collections.abc import Mapping, Set
from typing import Any

from apps.providers.dialects.anthropic_request import checked_list, checked_object, checked_text
from apps.providers.pairs.fields import only
from apps.providers.pairs.pair import Ask, InvalidError, Object

_TOOL = frozenset(
    {
        "type", "name", "description", "input_schema", "cache_control", "strict", "eager_input_streaming",
        "allowed_callers", "defer_loading",
    }
)  # fmt: skip
_CHOICES = {"auto": "AUTO", "any": "ANY", "tool": "ANY", "none": "NONE"}


def add_tools(body: Object, fields: Mapping[str, Any], loaded: Set[str], ask: Ask) -> None:
    """Write `tools` and `toolConfig`; a deferred tool is declared once a `tool_reference` has loaded it."""
    given = fields.get("tools")
    tools = [] if given is None else checked_list(given, "tools")
    declarations: list[Object] = []
    searches = strict = False
    for number, tool in enumerate(tools):
        path = f"tools.{number}"
        kind = checked_object(tool, path).get("type")
        if kind is None or kind == "custom":
            declaration = _declaration(tool, path, ask)
            if not tool.get("defer_loading") or declaration["name"] in loaded:
                declarations.append(declaration)
                strict = strict or tool.get("strict") is True
        elif str(kind).startswith("web_search_"):
            searches = _search(tool, path, ask) or searches
        else:
            ask.cannot(f"{path}.type", f"is {kind}, a tool that only Anthropic's models know")
    if searches and declarations:
        ask.cannot("tools", "cannot hold a web search beside other tools for Gemini")
        searches = False
    found: list[Object] = [{"functionDeclarations": declarations}] if declarations else []
    if searches:
        found.append({"googleSearch": {}})
    if found:
        body["tools"] = found
    choice = _choice(fields, {tool["name"] for tool in declarations}, ask, tools=bool(tools))
    if strict and choice.get("mode", "AUTO") == "AUTO":
        # Calls are held to their schemas; with ANY they are so by themselves.
        choice["mode"] = "VALIDATED"
    if choice and declarations:
        body["toolConfig"] = {"functionCallingConfig": choice}


def _declaration(tool: Mapping[str, Any], path: str, ask: Ask) -> Object:
    only(tool, _TOOL, path, ask)
    found: Object = {"name": checked_text(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        found["description"] = checked_text(tool["description"], f"{path}.description")
    found["parametersJsonSchema"] = checked_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        ask.cannot(f"{path}.allowed_callers", "names callers that Gemini does not have")
    return found


def _search(tool: Mapping[str, Any], path: str, ask: Ask) -> bool:
    only(tool, {"type", "name", "cache_control", "allowed_callers"}, path, ask)
    if tool.get("allowed_callers") not in (None, ["direct"]):
        ask.cannot(f"{path}.allowed_callers", "names callers that Gemini does not have")
    return True


def _choice(fields: Mapping[str, Any], names: set[str], ask: Ask, *, tools: bool) -> Object:
    given = fields.get("tool_choice")
    if given is None:
        return {}
    kind = checked_object(given, "tool_choice").get("type")
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise InvalidError("tool_choice.type", "has to be auto, any, tool or none")
    if not tools and kind != "none":
        raise InvalidError("tool_choice", "may only be given with tools")
    only(given, {"type", "name", "disable_parallel_tool_use"}, "tool_choice", ask)
    if given.get("disable_parallel_tool_use") is True:
        ask.cannot("tool_choice.disable_parallel_tool_use", "is true, which Gemini cannot be held to")
    found: Object = {"mode": _CHOICES[kind]}
    if kind == "tool":
        name = checked_text(given.get("name"), "tool_choice.name")
        if name not in names:
            raise InvalidError("tool_choice.name", f"is {name!r}, which is no tool of the request")
        found["allowedFunctionNames"] = [name]
    return found

# SPDX-License-Identifier: Apache-2.0
"""Tools of a chat completion request, and how they may be used, in Anthropic's form."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.anthropic_blocks import cached
from apps.providers.pairs.openai_anthropic.read import as_list, as_object, as_text, refuse_others
from apps.providers.pairs.pair import Ask, InvalidError, Object

_TOOL = frozenset({"type", "function", "cache_control"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_WORDS = {"none": "none", "auto": "auto", "required": "any"}
WEB_SEARCH_TOOL = "web_search_20250305"


def translate(fields: Mapping[str, Any], body: Object, ask: Ask) -> None:
    """Add `tools` and `tool_choice` to the body."""
    given = fields.get("tools")
    found = _tools(as_list(given, "tools"), ask) if given is not None else []
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        found, choice = _allowed(found, as_object(choice.get("allowed_tools"), "tool_choice.allowed_tools"))
    if fields.get("web_search_options") is not None:
        found.append(_search(as_object(fields["web_search_options"], "web_search_options"), ask))
    if not found:
        if not given and choice not in (None, "none", "auto"):
            raise InvalidError("tool_choice", "needs tools to choose from")
        # Anthropic wants the tools of earlier calls to be known; with "none" they cannot be called again.
        found = [{"name": name, "input_schema": {"type": "object"}} for name in _called(body["messages"])]
        if found:
            body["tools"], body["tool_choice"] = found, {"type": "none"}
        return
    body["tools"] = found
    chosen = _choice(choice, found, ask)
    if fields.get("parallel_tool_calls") is False and (chosen is None or chosen["type"] != "none"):
        chosen = {**(chosen or {"type": "auto"}), "disable_parallel_tool_use": True}
    if chosen is not None and chosen["type"] in {"any", "tool"} and _thinks(body):
        ask.cannot("tool_choice", "has to be auto or none while Anthropic thinks")
        chosen = None
    if chosen is not None:
        body["tool_choice"] = chosen


def _thinks(body: Object) -> bool:
    return body.get("thinking", {}).get("type") in {"enabled", "adaptive"}


def _called(turns: list[Object]) -> list[str]:
    names = (
        block["name"]
        for turn in turns
        if turn["role"] == "assistant"
        for block in turn["content"]
        if block["type"] == "tool_use"
    )
    return list(dict.fromkeys(names))


def _tools(given: list[Any], ask: Ask) -> list[Object]:
    found = []
    for number, tool in enumerate(given):
        path = f"tools[{number}]"
        kind = as_object(tool, path).get("type")
        if kind != "function":
            ask.cannot(path, "has to be a function: Anthropic has no such tool")
            continue
        refuse_others(tool, _TOOL, path, ask)
        function = as_object(tool.get("function"), f"{path}.function")
        refuse_others(function, _FUNCTION, f"{path}.function", ask)
        found.append({**_function(function, f"{path}.function"), **cached(tool.get("cache_control"))})
    return found


def _function(function: Object, path: str) -> Object:
    found: Object = {"name": as_text(function.get("name"), f"{path}.name")}
    if function.get("description"):
        found["description"] = as_text(function["description"], f"{path}.description")
    parameters = function.get("parameters")
    schema = {} if parameters is None else as_object(parameters, f"{path}.parameters")
    if "type" not in schema:
        schema = {"type": "object", "properties": {}, **schema}
    found["input_schema"] = schema
    if function.get("strict"):
        found["strict"] = True
    return found


def _allowed(tools: list[Object], given: Object) -> tuple[list[Object], str]:
    """Only the tools that may be used, and the word for how."""
    path = "tool_choice.allowed_tools"
    names = set()
    for number, tool in enumerate(as_list(given.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        function = as_object(as_object(tool, here).get("function"), f"{here}.function")
        names.add(as_text(function.get("name"), f"{here}.function.name"))
    mode = given.get("mode")
    if mode not in {"auto", "required"}:
        raise InvalidError(f"{path}.mode", "has to be auto or required")
    return [tool for tool in tools if tool["name"] in names], str(mode)


def _choice(choice: Any, tools: list[Object], ask: Ask) -> Object | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _WORDS:
            raise InvalidError("tool_choice", "has to be none, auto, required or an object")
        return {"type": _WORDS[choice]}
    if as_object(choice, "tool_choice").get("type") != "function":
        ask.cannot("tool_choice", "has to name a function at Anthropic")
        return None
    function = as_object(choice.get("function"), "tool_choice.function")
    name = as_text(function.get("name"), "tool_choice.function.name")
    if all(tool["name"] != name for tool in tools):
        raise InvalidError("tool_choice.function.name", "names no tool of the request")
    return {"type": "tool", "name": name}


def _search(options: Object, ask: Ask) -> Object:
    found: Object = {"type": WEB_SEARCH_TOOL, "name": "web_search"}
    if options.get("search_context_size") not in {None, "medium"}:
        ask.cannot("web_search_options.search_context_size", "cannot be chosen at Anthropic")
    place = options.get("user_location")
    if place is not None:
        path = "web_search_options.user_location"
        near = as_object(as_object(place, path).get("approximate"), f"{path}.approximate")
        found["user_location"] = {"type": "approximate", **near}
    return found

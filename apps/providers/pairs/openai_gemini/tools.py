# SPDX-License-Identifier: Apache-2.0
"""Tools and the choice between them; schemas go as the JSON Schema they are."""

import re
from typing import Any

from apps.providers.dialects.gemini_parts import word
from apps.providers.pairs.pair import Ask, InvalidError, Object

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}\Z")
_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
_NOTHING = frozenset({"type", "properties", "required", "additionalProperties", "$schema"})


def function_tools(tools: Any, ask: Ask) -> tuple[list[Object], bool]:
    """The function declarations, and whether any of them is to be held to strictly."""
    if tools is None:
        return [], False
    if not isinstance(tools, list):
        raise InvalidError("tools", "must be a list")
    found: list[Object] = []
    strict = False
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not isinstance(tool, dict):
            raise InvalidError(path, "must be an object")
        if tool.get("type") != "function":
            ask.cannot(f"{path}.type", "must be function for a Gemini model")
            continue
        declaration = _declaration(tool.get("function"), f"{path}.function", ask)
        if declaration is not None:
            strict = strict or tool["function"].get("strict") is True
            found.append(declaration)
    return found, strict


def _declaration(function: Any, path: str, ask: Ask) -> Object | None:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InvalidError(path, "must be an object with a `name`")
    if not _NAME.match(function["name"]):
        ask.cannot(f"{path}.name", "must begin with a letter or an underscore for a Gemini model")
        return None
    declaration: Object = {"name": function["name"]}
    for name, value in function.items():
        if value is None or name in {"name", "strict"}:
            continue
        if name == "description":
            if not isinstance(value, str):
                raise InvalidError(f"{path}.description", "must be a text")
            declaration["description"] = value
        elif name == "parameters":
            if not isinstance(value, dict):
                raise InvalidError(f"{path}.parameters", "must be an object")
            if not _says_nothing(value):
                declaration["parametersJsonSchema"] = {k: v for k, v in value.items() if k != "$schema"}
        else:
            ask.cannot(f"{path}.{name}", "is not a field that a Gemini model can be told")
    return declaration


def _says_nothing(schema: Object) -> bool:
    """An object without properties is told by leaving the schema out: Gemini refuses an empty one."""
    return (
        schema.keys() <= _NOTHING and not schema.get("properties") and not schema.get("additionalProperties")
    )


def tool_config(choice: Any, ask: Ask, *, named: bool, strict: bool) -> Object:
    """The functionCallingConfig; empty where Gemini's default says the same."""
    if not named:
        if choice not in (None, "none", "auto"):
            raise InvalidError("tool_choice", "needs `tools`")
        return {}
    if choice is None or choice == "auto":
        return {"mode": "VALIDATED"} if strict else {}
    if isinstance(choice, str):
        if choice not in _MODES:
            raise InvalidError("tool_choice", "must be none, auto, required or an object")
        return {"mode": _MODES[choice]}
    if not isinstance(choice, dict):
        raise InvalidError("tool_choice", "must be none, auto, required or an object")
    if choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_named(choice, "tool_choice")]}
    if choice.get("type") == "allowed_tools":
        return _allowed(choice.get("allowed_tools"))
    ask.cannot("tool_choice.type", "must be function or allowed_tools for a Gemini model")
    return {}


def _allowed(given: Any) -> Object:
    path = "tool_choice.allowed_tools"
    if not isinstance(given, dict) or not isinstance(given.get("tools"), list):
        raise InvalidError(path, "must be an object with `tools`")
    if word(given.get("mode")) not in {"auto", "required"}:
        raise InvalidError(f"{path}.mode", "must be auto or required")
    names = [_named(tool, f"{path}.tools[{number}]") for number, tool in enumerate(given["tools"])]
    # The one mode that leaves the model free to talk and still narrows its functions.
    return {"mode": "ANY" if given["mode"] == "required" else "VALIDATED", "allowedFunctionNames": names}


def _named(tool: Any, path: str) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidError(f"{path}.function.name", "must be the name of a function")
    return name

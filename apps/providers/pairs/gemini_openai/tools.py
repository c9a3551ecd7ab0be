# SPDX-License-Identifier: Apache-2.0
"""Function declarations and the config that chooses between them, as OpenAI's tools."""

import re
from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.gemini_parts import camel, objects
from apps.providers.dialects.gemini_schema import strict_ready, to_json_schema
from apps.providers.pairs.pair import Ask, InvalidError, Object

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_UNSET = frozenset({"MODE_UNSPECIFIED", "AUTO"})


def function_tools(given: Any, ask: Ask) -> list[Object]:
    """The functions as tools; tools that Google runs itself are refused."""
    found: list[Object] = []
    for path, tool in objects(given if given is not None else [], "tools"):
        for name, value in tool.items():
            if name != "functionDeclarations":
                ask.cannot(f"{path}.{name}", "is a tool that Google runs; an OpenAI model cannot call it")
                continue
            for where, declaration in objects(value, f"{path}.functionDeclarations"):
                function = _function(declaration, where, ask)
                if function is not None:
                    found.append({"type": "function", "function": function})
    return found


def _function(declaration: Mapping[str, Any], path: str, ask: Ask) -> Object | None:
    name = declaration.get("name")
    if not isinstance(name, str):
        raise InvalidError(f"{path}.name", "must be the name of a function")
    if not _NAME.match(name):
        ask.cannot(f"{path}.name", "can only hold letters, digits, - and _ (64 at most) for an OpenAI model")
        return None
    function: Object = {"name": name}
    for field, value in declaration.items():
        if field == "description":
            if not isinstance(value, str):
                raise InvalidError(f"{path}.description", "must be a text")
            function["description"] = value
        elif field in {"parameters", "parametersJsonSchema"}:
            function["parameters"] = _parameters(field, value, f"{path}.{field}")
        elif field != "name" and (field, value) not in _PLAIN:
            ask.cannot(f"{path}.{field}", "is not a field that an OpenAI model can be told")
    return function


# What Gemini does anyway.
_PLAIN = (("behavior", "UNSPECIFIED"), ("behavior", "BLOCKING"))


def _parameters(field: str, value: Any, path: str) -> Object:
    if not isinstance(value, dict):
        raise InvalidError(path, "must be an object")
    if field == "parametersJsonSchema":
        return value
    try:
        return to_json_schema(value)
    except ValueError as fault:
        raise InvalidError(path, str(fault)) from None


def tool_choice(given: Any, tools: list[Object], ask: Ask) -> str | Object | None:
    """OpenAI's choice for a toolConfig; None where its default says the same."""
    config: Mapping[str, Any] = {}
    for name, value in (camel(given, "toolConfig") if given is not None else {}).items():
        if name == "functionCallingConfig":
            config = camel(value, "toolConfig.functionCallingConfig")
        elif value is not False and value != {}:
            ask.cannot(f"toolConfig.{name}", "belongs to tools that Google runs")
    path = "toolConfig.functionCallingConfig"
    for name in config.keys() - {"mode", "allowedFunctionNames"}:
        if config[name] is not False:
            ask.cannot(f"{path}.{name}", "is not a field that an OpenAI model can be told")
    mode = str(config.get("mode", "AUTO")).upper()
    names = config.get("allowedFunctionNames", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidError(f"{path}.allowedFunctionNames", "must be a list of names")
    if mode in {*_UNSET, "NONE"} and names:
        raise InvalidError(f"{path}.allowedFunctionNames", "needs the mode ANY or VALIDATED")
    if mode not in {*_UNSET, "NONE", "ANY", "VALIDATED"}:
        raise InvalidError(f"{path}.mode", "must be AUTO, ANY, NONE or VALIDATED")
    return _choice(mode, names, tools, ask)


def _choice(mode: str, names: list[str], tools: list[Object], ask: Ask) -> str | Object | None:
    path = "toolConfig.functionCallingConfig"
    if not tools:
        if mode in {"ANY", "VALIDATED"}:
            raise InvalidError(f"{path}.mode", "needs `functionDeclarations`")
        return None
    if mode == "NONE":
        return "none"
    if unknown := set(names) - {tool["function"]["name"] for tool in tools}:
        raise InvalidError(f"{path}.allowedFunctionNames", f"names {min(unknown)!r}, which is not declared")
    if mode == "VALIDATED":
        _hold_strictly(tools, ask)
    if mode == "ANY" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}
    if names:
        allowed = [{"type": "function", "function": {"name": name}} for name in names]
        words = {"mode": "required" if mode == "ANY" else "auto", "tools": allowed}
        return {"type": "allowed_tools", "allowed_tools": words}
    return "required" if mode == "ANY" else None


def _hold_strictly(tools: list[Object], ask: Ask) -> None:
    functions = [tool["function"] for tool in tools]
    if all(strict_ready(function.get("parameters")) for function in functions):
        for function in functions:
            function["strict"] = True
        return
    reason = (
        "cannot be VALIDATED for an OpenAI model unless all parameters are required and no others allowed"
    )
    ask.cannot("toolConfig.functionCallingConfig.mode", reason)

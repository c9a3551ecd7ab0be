# SPDX-License-Identifier: Apache-2.0
"""Tools of a Gemini request and how they may be used."""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects import anthropic_schema, gemini_schema
from apps.providers.dialects.anthropic_blocks import arguments
from apps.providers.dialects.gemini_parts import camel, objects
from apps.providers.pairs.fields import only
from apps.providers.pairs.gemini_anthropic.read import as_flag, as_text, as_texts
from apps.providers.pairs.gemini_anthropic.thinking import is_on
from apps.providers.pairs.pair import Ask, InvalidError, Object

_DECLARATION = frozenset(
    {
        "name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior",
    }
)  # fmt: skip
_MODES = {"MODE_UNSPECIFIED": "auto", "AUTO": "auto", "VALIDATED": "auto", "ANY": "any", "NONE": "none"}
_CONFIG = "toolConfig"
_CALLING = "toolConfig.functionCallingConfig"


def add_tools(body: Object, given: Mapping[str, Any], ask: Ask) -> None:
    """Write `tools` and `tool_choice`."""
    functions: list[Object] = []
    others: list[Object] = []
    for path, tool in objects(given.get("tools", []), "tools"):
        for name, value in tool.items():
            if name == "functionDeclarations":
                functions += [_function(one, where) for where, one in _declared(value, path, ask)]
            elif name == "googleSearch":
                others.append(_search(value, f"{path}.googleSearch", ask))
            else:
                ask.cannot(f"{path}.{name}", "is a tool that only Google's models know")
    mode, allowed = _calling(given, ask)
    if mode == "VALIDATED":
        functions = [_strict(function) for function in functions]
    if allowed:
        missing = set(allowed) - {function["name"] for function in functions}
        if missing:
            raise InvalidError(
                f"{_CALLING}.allowedFunctionNames", f"names {min(missing)!r}, which is not declared"
            )
        functions = [function for function in functions if function["name"] in allowed]
    tools = [*functions, *others]
    if not tools:
        return
    body["tools"] = tools
    choice = _MODES[mode]
    if choice == "any" and is_on(body):
        ask.cannot(f"{_CALLING}.mode", "cannot be ANY while Anthropic thinks")
    elif choice == "any" and len(allowed) == 1:
        body["tool_choice"] = {"type": "tool", "name": allowed[0]}
    elif choice == "any" or choice == "none":
        body["tool_choice"] = {"type": choice}


def _declared(value: Any, path: str, ask: Ask) -> list[tuple[str, Mapping[str, Any]]]:
    found = list(objects(value, f"{path}.functionDeclarations"))
    for where, one in found:
        only(one, _DECLARATION, where, ask)
        if one.get("behavior", "BLOCKING") not in ("BLOCKING", "UNSPECIFIED"):
            ask.cannot(f"{where}.behavior", "must be BLOCKING: Anthropic waits for every result")
    return found


def _function(given: Mapping[str, Any], path: str) -> Object:
    found: Object = {"name": as_text(given.get("name"), f"{path}.name")}
    about = as_text(given.get("description", ""), f"{path}.description")
    returns = _schema(given, "response", "responseJsonSchema", path)
    if returns:
        # Anthropic has no field for it, but the model reads descriptions.
        about = f"{about}\n\nReturns: {arguments(returns)}".strip()
    if about:
        found["description"] = about
    schema = _schema(given, "parameters", "parametersJsonSchema", path) or {}
    # Anthropic wants an object, also where there is nothing to give.
    found["input_schema"] = schema if schema.get("type") == "object" else {**schema, "type": "object"}
    return found


def _schema(given: Mapping[str, Any], openapi: str, plain: str, path: str) -> Object | None:
    name = plain if plain in given else openapi
    schema = given.get(name)
    if schema is None:
        return None
    if not isinstance(schema, dict):
        raise InvalidError(f"{path}.{name}", "must be an object")
    if name == plain:
        return schema
    try:
        return gemini_schema.to_json_schema(schema)
    except ValueError as fault:
        raise InvalidError(f"{path}.{name}", str(fault)) from None


def _strict(function: Object) -> Object:
    try:
        schema = anthropic_schema.fitted(function["input_schema"])
    except RecursionError:
        raise InvalidError("tools", "hold a schema that is nested too deeply") from None
    return {**function, "input_schema": schema, "strict": True}


def _search(value: Any, path: str, ask: Ask) -> Object:
    given = camel(value, path)
    only(given, {"excludeDomains", "searchTypes"}, path, ask)
    if camel(given.get("searchTypes", {}), f"{path}.searchTypes").keys() - {"webSearch"}:
        ask.cannot(f"{path}.searchTypes", "must be webSearch alone at Anthropic")
    found: Object = {"type": "web_search_20250305", "name": "web_search"}
    domains = as_texts(given.get("excludeDomains", []), f"{path}.excludeDomains")
    return {**found, "blocked_domains": domains} if domains else found


def _calling(given: Mapping[str, Any], ask: Ask) -> tuple[str, list[str]]:
    config = camel(given.get(_CONFIG, {}), _CONFIG)
    for name, value in config.items():
        if name != "functionCallingConfig" and value is not False:
            ask.cannot(f"{_CONFIG}.{name}", "is nothing that Anthropic can be told")
    calling = camel(config.get("functionCallingConfig", {}), _CALLING)
    only(calling, {"mode", "allowedFunctionNames", "streamFunctionCallArguments"}, _CALLING, ask)
    if as_flag(calling.get("streamFunctionCallArguments"), f"{_CALLING}.streamFunctionCallArguments"):
        ask.cannot(f"{_CALLING}.streamFunctionCallArguments", "is not a form of the Gemini API")
    mode = str(calling.get("mode", "AUTO")).upper()
    if mode not in _MODES:
        raise InvalidError(f"{_CALLING}.mode", f"must be {', '.join(_MODES)}")
    return mode, as_texts(calling.get("allowedFunctionNames", []), f"{_CALLING}.allowedFunctionNames")

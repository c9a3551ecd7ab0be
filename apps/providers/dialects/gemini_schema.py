# SPDX-License-Identifier: Apache-2.0
"""Gemini's subset of OpenAPI schemas as JSON Schema, and whether a schema can be held to strictly.

Only this way round: towards Gemini, JSON Schema goes as it is (`parametersJsonSchema`, `responseJsonSchema`).
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.dialects.gemini_parts import camel_name, word

Schema = dict[str, Any]

_TYPES = {
    name.upper(): name for name in ("string", "number", "integer", "boolean", "array", "object", "null")
}
# Numbers that protocol buffers write as text.
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_MAPS = frozenset({"properties", "defs", "$defs"})
_LISTS = frozenset({"anyOf", "oneOf", "prefixItems"})
_NESTED = _MAPS | _LISTS | {"items", "additionalProperties"}
_REFERENCES = frozenset({"ref", "$ref"})
_APART = frozenset({"nullable", "propertyOrdering"})
_NAMES = {"defs": "$defs"}
# Formats that say nothing beyond the type.
_PLAIN_FORMATS = frozenset({"enum", "float", "double"})
_DEEPEST = 100

_STRICT = frozenset(
    {
        "type", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required", "additionalProperties", "items",
        "title", "description", "pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "minItems", "maxItems", "$schema",
    }
)  # fmt: skip
_STRICT_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


def to_json_schema(schema: Mapping[str, Any], depth: int = 0) -> Schema:
    """A `Schema` message as JSON Schema; ValueError when it is none. Unknown keywords stay as they are."""
    if depth > _DEEPEST:
        raise ValueError("is nested too deeply")
    found: Schema = {}
    for given, value in schema.items():
        name = camel_name(given) if "_" in given else given
        if value is None or name in _APART:
            continue
        if name == "type":
            if value != "TYPE_UNSPECIFIED":
                found["type"] = _type(value)
        elif name in _NESTED:
            found[_NAMES.get(name, name)] = _nested(name, value, depth + 1)
        elif name in _COUNTS:
            found[name] = _whole(name, value)
        elif name == "example":
            found["examples"] = [value]
        elif name == "format":
            if value not in _PLAIN_FORMATS:
                found["format"] = value
        elif name in _REFERENCES:
            found["$ref"] = value.replace("#/defs/", "#/$defs/", 1) if isinstance(value, str) else value
        else:
            found[name] = value
    if "properties" in found:
        _order(found, schema)
    if schema.get("nullable") is True:
        _allow_null(found)
    return found


def closed(schema: Mapping[str, Any], depth: int = 0) -> Schema:
    """The same schema without properties that it does not name: whatever it lets through, the given one does too."""
    if depth > _DEEPEST:
        return dict(schema)
    return {name: _closed_member(name, value, depth + 1) for name, value in _sealed(schema).items()}


def strict_ready(schema: Any, depth: int = 0) -> bool:
    """Whether providers that hold a model to a schema strictly take this one (OpenAI's rules for `strict`)."""
    if depth > _DEEPEST or not isinstance(schema, dict) or not schema.keys() <= _STRICT:
        return False
    if depth == 0 and schema.get("type") != "object":
        return False
    if "format" in schema and word(schema["format"]) not in _STRICT_FORMATS:
        return False
    properties = schema.get("properties")
    if (properties is not None or schema.get("type") == "object") and not _all_required(schema):
        return False
    parts = [*_values(properties), *_values(schema.get("$defs"))]
    if "anyOf" in schema:
        parts += schema["anyOf"] if isinstance(schema["anyOf"], list) else [None]
    if "items" in schema:
        parts.append(schema["items"])
    return all(strict_ready(part, depth + 1) for part in parts)


def _type(value: Any) -> str:
    found = _TYPES.get(value) or _TYPES.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"names the type {value!r}, which there is not")
    return found


def _whole(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if type(value) is not int:
        raise ValueError(f"has no whole number in {name}")
    return value


def _nested(name: str, value: Any, depth: int) -> Any:
    if name in _MAPS:
        if not isinstance(value, Mapping):
            raise ValueError(f"has no object in {name}")
        return {key: _schema(part, depth) for key, part in value.items()}
    if name in _LISTS:
        if not isinstance(value, list):
            raise ValueError(f"has no list in {name}")
        return [_schema(part, depth) for part in value]
    if name == "additionalProperties" and isinstance(value, bool):
        return value
    return _schema(value, depth)


def _schema(value: Any, depth: int) -> Schema:
    if not isinstance(value, Mapping):
        raise ValueError("has something else in the place of a schema")
    return to_json_schema(value, depth)


def _order(found: Schema, schema: Mapping[str, Any]) -> None:
    order = schema.get("propertyOrdering") or schema.get("property_ordering")
    properties = found.get("properties")
    if isinstance(order, list) and properties:
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        found["properties"] = {**first, **properties}


def _allow_null(found: Schema) -> None:
    if "enum" in found and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    if "type" in found:
        if found["type"] != "null":
            found["type"] = [found["type"], "null"]
    elif "anyOf" in found:
        found["anyOf"] = [*found["anyOf"], {"type": "null"}]
    elif "$ref" in found:
        found["anyOf"] = [{"$ref": found.pop("$ref")}, {"type": "null"}]


def _sealed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "properties" not in schema or "additionalProperties" in schema or "patternProperties" in schema:
        return schema
    return {**schema, "additionalProperties": False}


def _values(given: Any) -> list[Any]:
    return list(given.values()) if isinstance(given, dict) else []


def _closed_member(name: str, value: Any, depth: int) -> Any:
    if name in {"properties", "$defs"} and isinstance(value, Mapping):
        return {
            key: closed(part, depth) if isinstance(part, Mapping) else part for key, part in value.items()
        }
    if name == "anyOf" and isinstance(value, list):
        return [closed(part, depth) if isinstance(part, Mapping) else part for part in value]
    return closed(value, depth) if name == "items" and isinstance(value, Mapping) else value


def _all_required(schema: Mapping[str, Any]) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    return (
        isinstance(properties, dict)
        and schema.get("additionalProperties") is False
        and isinstance(required, list)
        and all(name in required for name in properties)
        and len(required) == len(properties)
    )

# SPDX-License-Identifier: Apache-2.0
"""JSON schemas for `output_config.format`, which takes a part of JSON Schema only.

What the provider cannot enforce is told to the model in the description, as the provider's own client does; objects
are closed, which it demands. Every answer that fits the result fits the client's schema in what is enforced.
"""

from typing import Any

from apps.providers.dialects.anthropic_blocks import arguments

Object = dict[str, Any]

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_KEPT = frozenset({"type", "description", "title", "enum", "const", "$ref", "required", "default"})
_MANY = frozenset({"anyOf", "allOf"})
_NAMED = frozenset({"properties", "$defs", "definitions"})


def fitted(schema: Object) -> Object:
    """The schema as Anthropic takes it; RecursionError where it is nested too deep."""
    found: Object = {}
    told: Object = {}
    for name, value in schema.items():
        if name in _KEPT:
            found[name] = value
        elif name in _NAMED and isinstance(value, dict):
            found[name] = {key: _part(part) for key, part in value.items()}
        elif name in _MANY and isinstance(value, list):
            found[name] = [_part(part) for part in value]
        elif name == "oneOf" and isinstance(value, list) and "anyOf" not in schema:
            found["anyOf"] = [_part(part) for part in value]
        elif name == "items" and isinstance(value, dict):
            found[name] = _part(value)
        elif (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1)):
            found[name] = value
        elif name not in {"additionalProperties", "$schema", "$id"}:
            told[name] = value
    if schema.get("type") == "object" or "properties" in schema:
        found["additionalProperties"] = False
    if told:
        rule = ", ".join(f"{name}: {_said(value)}" for name, value in told.items())
        before = found.get("description")
        found["description"] = f"{before}\n\n{{{rule}}}" if before else f"{{{rule}}}"
    return found


def _part(value: Any) -> Any:
    return fitted(value) if isinstance(value, dict) else value


def _said(value: Any) -> str:
    return value if isinstance(value, str) else arguments(value)

# SPDX-License-Identifier: Apache-2.0
"""Requests held against the pinned schemas; what is wrong first, in words no provider has chosen yet."""

import functools
import json
import pathlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Path = tuple[str | int, ...]
FOLDER = pathlib.Path(__file__).parent / "schemas"


class RejectedError(ValueError):
    """A request that a provider turns down; `code` is the provider's own word where it has one."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code
        self.model = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One departure from a schema: `kind` is missing, extra, type or value."""

    kind: str
    path: Path
    wanted: Any
    got: Any


@functools.cache
def _validator(provider: str, request: str) -> Draft202012Validator:
    pinned = _pinned(provider)
    return Draft202012Validator({**pinned["requests"][request], "$defs": pinned["$defs"]})


@functools.cache
def _pinned(provider: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{provider}.json").read_text(encoding="utf-8"))
    return found


def read(body: bytes) -> dict[str, Any]:
    """A JSON object, or RejectedError."""
    try:
        found = json.loads(body)
    except ValueError as fault:
        raise RejectedError("We could not parse the JSON body of your request.") from fault
    if not isinstance(found, dict):
        raise RejectedError("We could not parse the JSON body of your request: it is not an object.")
    return found


def first_fault(provider: str, request: str, body: Any) -> Fault | None:
    """The first departure of a body from a pinned schema; of a union the branch that the body means counts."""
    errors = sorted(_validator(provider, request).iter_errors(body), key=lambda e: [str(p) for p in e.path])
    return _fault(_meant(errors[0])) if errors else None


def camel(provider: str, request: str, body: Any) -> Any:
    """The body with its fields under the names of the schema: protocol buffers in JSON may be written in snake case."""
    pinned = _pinned(provider)
    return _renamed(pinned["requests"][request], body, pinned["$defs"])


def _renamed(schema: Any, value: Any, defs: dict[str, Any]) -> Any:
    schema = _resolved(schema, defs)
    if isinstance(value, list):
        return [_renamed(schema.get("items", {}), item, defs) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties"), schema.get("additionalProperties")
    if known is None:
        return {
            n: _renamed(others, item, defs) if isinstance(others, dict) else item for n, item in value.items()
        }
    made: dict[str, Any] = {}
    for name, item in value.items():
        told = re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
        name = told if name not in known and told in known else name  # noqa: PLW2901
        made[name] = _renamed(known.get(name, {}), item, defs)
    return made


def _resolved(schema: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references and "or null"."""
    while True:
        if "$ref" in schema:
            schema = defs[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            found: dict[str, Any] = schema
            return found


def _meant(error: ValidationError) -> ValidationError:
    """The error inside the branch of a union that a value comes closest to: that whose `type` and `role` fit."""
    while error.validator in ("anyOf", "oneOf") and error.context:
        branches: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        closest = min(branches.values(), key=_distance)
        error = min(closest, key=lambda e: (_is_unknown(e), len(e.path)))
    return error


def _distance(errors: list[ValidationError]) -> tuple[int, int, int]:
    wrong_kind = sum(
        error.validator in ("const", "enum") and list(error.relative_path)[-1:] in (["type"], ["role"])
        for error in errors
    )
    wrong_type = sum(error.validator == "type" and not error.relative_path for error in errors)
    return wrong_kind + wrong_type, len(errors), -max(len(error.relative_path) for error in errors)


def _is_unknown(error: ValidationError) -> bool:
    return bool(error.validator == "additionalProperties")


def _fault(error: ValidationError) -> Fault:
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    if error.validator == "required":
        name = next(name for name in schema["required"] if name not in error.instance)
        return Fault("missing", (*path, name), None, None)
    if error.validator == "additionalProperties":
        name = next(name for name in error.instance if name not in schema["properties"])
        return Fault("extra", (*path, name), None, error.instance[name])
    if error.validator in ("enum", "const"):
        wanted = schema.get("enum") or [schema.get("const")]
        return Fault("value", path, wanted, error.instance)
    return Fault("type", path, schema.get("type", "a known form"), error.instance)


def dotted(path: Iterable[str | int]) -> str:
    """`messages.0.content`."""
    return ".".join(str(part) for part in path)


def bracketed(path: Iterable[str | int]) -> str:
    """`messages[0].content`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def kind_of(value: Any) -> str:
    """A JSON type as people say it."""
    if isinstance(value, bool):
        return "boolean"
    names = {
        str: "string",
        int: "integer",
        float: "decimal",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return names.get(type(value), "value")

# SPDX-License-Identifier: Apache-2.0
"""The detector kinds: add a row here and a file beside it (docs/how-to/add-a-detector-kind.md)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.policies.domain import Detector
from apps.policies.kinds import dummy, pii
from apps.policies.kinds.base import Finder, Kind

KINDS: Mapping[str, Kind] = {"pii": pii, "dummy": dummy}


class UnknownKindError(ValueError):
    """A detector names a kind that this version does not have."""


class WrongParamsError(ValueError):
    """A detector's params do not fit its kind; `field` is the path of the wrong one."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def finders(detector: Detector) -> tuple[Finder, ...]:
    """What a detector looks with; UnknownKindError or WrongParamsError when it cannot be made."""
    kind = KINDS.get(detector.kind)
    if kind is None:
        raise UnknownKindError(f"There is no detector kind {detector.kind!r}; there are: {', '.join(KINDS)}.")
    try:
        params = msgspec.convert(detector.params, kind.Params)
    except msgspec.ValidationError as fault:
        message, _, path = str(fault).partition(" - at `$")
        raise WrongParamsError(path.strip("`.").partition("[")[0], message) from None
    return kind.compile(params)


def schema(kind: str) -> dict[str, Any]:
    """The JSON schema (2020-12) of a kind's params: what the editor makes its form from."""
    whole = msgspec.json.schema(KINDS[kind].Params)
    named: dict[str, Any] = whole["$defs"][whole["$ref"].rpartition("/")[2]]
    return {**named, "$defs": whole["$defs"]}

# SPDX-License-Identifier: Apache-2.0
"""What people may write into a policy, checked field by field before it is stored."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.policies.domain import Action, Detector, Phase, Scope
from apps.policies.kinds import KINDS, WrongParamsError, finders

MOST_DETECTORS = 20
MOST_NAMES = 200
MOST_CHARACTERS = 200
SCOPE_FIELDS = tuple(field.name for field in msgspec.structs.fields(Scope))
E = TypeVar("E", bound=StrEnum)


def phases(value: Any) -> list[str]:
    """Phases in their own order; ValidationError names `phases`."""
    chosen = {_one_of(Phase, item, "phases") for item in _list(value, "phases")}
    if not chosen:
        raise ValidationError({"phases": _("Choose prompts, answers or both.")})
    return [phase.value for phase in Phase if phase in chosen]


def action(value: Any) -> str:
    """An action that can be chosen; ValidationError names `action`."""
    chosen = _one_of(Action, value, "action")
    if chosen is Action.ALLOW:
        raise ValidationError({"action": _("A policy blocks, redacts or logs.")})
    return chosen.value


def detectors(value: Any) -> list[dict[str, Any]]:
    """Detectors whose params fit their kinds; ValidationError names `detectors`, the kind and its field."""
    items = _list(value, "detectors")
    if not items:
        raise ValidationError({"detectors": _("Choose at least one thing to look for.")})
    if len(items) > MOST_DETECTORS:
        raise ValidationError({"detectors": _("A policy has at most %d detectors.") % MOST_DETECTORS})
    return [_detector(item) for item in items]


def scope(value: Any) -> dict[str, list[str]]:
    """Names by scope field, without the empty ones; ValidationError names `scope` and the field."""
    if not isinstance(value, Mapping):
        raise ValidationError({"scope": _("A scope is an object of lists.")})
    for name, names in value.items():
        if name not in SCOPE_FIELDS:
            raise ValidationError(
                {
                    "scope": _("%(name)s: choose from %(all)s.")
                    % {"name": name, "all": ", ".join(SCOPE_FIELDS)}
                }
            )
        if not isinstance(names, list | tuple) or len(names) > MOST_NAMES or not all(map(_is_name, names)):
            raise ValidationError({"scope": _("%s: give a list of names or ids.") % name})
    return {name: list(dict.fromkeys(value[name])) for name in SCOPE_FIELDS if value.get(name)}


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "phases": phases,
    "action": action,
    "detectors": detectors,
    "scope": scope,
}


def _detector(item: Any) -> dict[str, Any]:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    params = item.get("params", {}) if isinstance(item, Mapping) else None
    if (
        not isinstance(kind, str)
        or kind not in KINDS
        or not isinstance(params, Mapping)
        or not set(item) <= {"kind", "params"}
    ):
        known = ", ".join(KINDS)
        raise ValidationError({"detectors": _("A detector has a kind (one of: %s) and params.") % known})
    try:
        finders(Detector(kind=kind, params=dict(params)))
    except WrongParamsError as fault:
        raise ValidationError({"detectors": f"{kind}: {fault}"}) from None
    return {"kind": kind, "params": dict(params)}


def _list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValidationError({field: _("Give a list.")})
    return list(value)


def _one_of(kind: type[E], value: Any, field: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise ValidationError({field: _("Choose from %s.") % ", ".join(kind)}) from None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_CHARACTERS and value.isprintable()

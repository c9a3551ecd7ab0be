# SPDX-License-Identifier: Apache-2.0
"""What a client may write as `model` besides a model's own name: an alias, or a provider before the name."""

import fnmatch
from collections.abc import Collection, Iterable, Mapping

import msgspec

from apps.core.outcome import Refuse
from apps.keys.domain import Key
from apps.providers.domain import Model, Provider
from apps.routing.domain import Table


class Named(msgspec.Struct, frozen=True):
    """What a name stands for; `only_at` are the providers it asks for, None where it does not choose any."""

    model: Model
    only_at: frozenset[str] | None = None


Names = Mapping[str, tuple[Named, ...]]


def index(models: Iterable[Model], providers: Mapping[str, Provider], table: Table) -> Names:
    """Every such name of one organisation; made once per snapshot, so that a look-up is one step.

    `provider/model` takes the provider's name, also in lower case, or its vendor, and after it the model's own name or
    the provider's name for it. A name may stand for several models: the key decides.
    """
    found: dict[str, list[Named]] = {}
    by_upstream: dict[str, list[Named]] = {}
    for model in sorted(models, key=lambda one: one.name):
        if not model.enabled:
            continue
        for alias in model.aliases:
            found.setdefault(alias, []).append(Named(model))
        targets = [target for target in table.by_model.get(model.id, ()) if target.provider_id in providers]
        everywhere = frozenset(target.provider_id for target in targets)
        own: dict[str, set[str]] = {}
        upstream: dict[str, set[str]] = {}
        for target in targets:
            for prefix in _prefixes(providers[target.provider_id]):
                own.setdefault(f"{prefix}/{model.name}", set()).add(target.provider_id)
                upstream.setdefault(f"{prefix}/{target.upstream_model}", set()).add(target.provider_id)
        for names, where in ((own, found), (upstream, by_upstream)):
            for name, ids in names.items():
                chosen = None if ids == everywhere else frozenset(ids)
                where.setdefault(name, []).append(Named(model, chosen))
    for name, more in by_upstream.items():
        known = found.setdefault(name, [])
        known += [one for one in more if all(one.model.id != other.model.id for other in known)]
    return {name: tuple(some) for name, some in found.items()}


def admits(patterns: Collection[str], name: str) -> bool:
    """Whether one of some shell patterns matches a model's name."""
    return (
        "*" in patterns or name in patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    )


def resolve(names: Names, key: Key, asked: str) -> Named | Refuse:
    """What a name stands for, inside what a key allows; asked where no model has exactly this name."""
    candidates = names.get(asked, ())
    if not candidates:
        return Refuse(
            "model_not_found",
            f"There is no model “{asked}”. `GET /v1/models` lists those of your key.",
            "model",
        )
    usable = [one for one in candidates if admits(key.models, one.model.name)]
    if not usable:
        text = f"Key {key.hint} may not use model “{asked}”. `GET /v1/models` lists those it may use."
        return Refuse("model_not_allowed", text, "model")
    for one in usable:
        if one.only_at is None or key.may_override_route:
            return one
    text = f"Key {key.hint} may not choose the provider, and “{asked}” does. Ask for “{usable[0].model.name}” instead."
    return Refuse("override_not_allowed", text, "model")


def _prefixes(provider: Provider) -> set[str]:
    return {provider.name, provider.name.lower(), provider.vendor} - {""}

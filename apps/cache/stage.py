# SPDX-License-Identifier: Apache-2.0
"""The steps about stored answers: whether one may be used, what was found, what is kept."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.cache.domain import MOST_BYTES, SECONDS, Stored, exact_digest
from apps.core import redis_names, values
from apps.core.redis import Redis

MODES = ("", "skip", "refresh", "only", "exact")
_encode = msgspec.json.Encoder(order="sorted").encode


def wanted(mode: str, *, sampled: bool) -> bool:
    """Whether the exact phase may answer: not what is sampled on purpose, unless `exact` or `only` is asked for."""
    return mode != "skip" and (mode in {"exact", "only"} or not sampled)


def digest(
    fields: Mapping[str, Any],
    delivery: frozenset[str],
    *,
    dialect: str,
    organisation_id: str,
    reader: str,
    model_id: str,
    bundle: str,
) -> str:
    """The exact key of a request in its rewritten form; fields of `delivery` do not change what an answer says."""
    relevant = {name: value for name, value in fields.items() if name not in delivery and name != "model"}
    return exact_digest(
        dialect=dialect,
        organisation_id=organisation_id,
        reader=reader,
        model_id=model_id,
        bundle=bundle,
        rewritten=_encode(relevant),
    )


def lookup(raw: bytes | None) -> Stored | None:
    """The answer that admission found; one of a shape we cannot read is no answer."""
    if raw is None:
        return None
    try:
        return values.decode(Stored, raw)
    except values.ShapeError:
        return None


def keep(redis: Redis, organisation_id: str, key: str, stored: Stored) -> Any:
    """Store an answer; the future of the write, None when it is too large to keep."""
    raw = values.encode(stored)
    if len(raw) > MOST_BYTES:
        return None
    return redis.command("SET", redis_names.cached(organisation_id, key), raw, "EX", SECONDS)

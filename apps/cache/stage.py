# SPDX-License-Identifier: Apache-2.0
"""The steps about stored answers: whether one may be used, what was found, what is kept."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.cache.domain import MOST_BYTES, SECONDS, Stored, exact_digest
from apps.core import redis_names, values
from apps.core.redis import Redis

MODES = ("", "skip", "refresh", "only", "exact")
# They change how an answer is delivered or accounted, not what it says.
_DELIVERY = {"stream", "stream_options", "user", "metadata", "store"}
_encode = msgspec.json.Encoder(order="sorted").encode


def is_eligible(fields: Mapping[str, Any], mode: str) -> bool:
    """Whether the exact phase applies: one answer, no tools, and not sampled on purpose unless `exact` is asked for."""
    if mode == "skip" or fields.get("tools") or fields.get("functions") or fields.get("n") not in {None, 1}:
        return False
    if fields.get("logprobs") or fields.get("audio") or fields.get("modalities"):
        return False
    return mode in {"exact", "only"} or not fields.get("temperature")


def digest(
    fields: Mapping[str, Any], *, organisation_id: str, reader: str, model_id: str, bundle: str
) -> str:
    """The exact key of a request in its rewritten form."""
    relevant = {name: value for name, value in fields.items() if name not in _DELIVERY and name != "model"}
    return exact_digest(
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

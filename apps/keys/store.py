# SPDX-License-Identifier: Apache-2.0
"""What this room keeps in Redis: published keys, open records, and the two scripts' calls."""

import functools
from collections.abc import Sequence
from time import time
from typing import Any, NamedTuple

import msgspec

from apps.core import redis_names, values
from apps.core.redis import Argument, Redis, Script
from apps.keys.domain import Absent, Budget, Caller, Key, OpenRecord, Window, starts_at_hour
from apps.keys.scripts import ADMIT, REOPEN, SETTLE

ADMIT_SCRIPT = Script(ADMIT)
SETTLE_SCRIPT = Script(SETTLE)
REOPEN_SCRIPT = Script(REOPEN)
# Longer than any process lives whose exchanges the store may have to be asked about.
TOLD_SECONDS = 30 * 86_400
SCRIPTS = (ADMIT_SCRIPT, SETTLE_SCRIPT, REOPEN_SCRIPT)
_PUBLISHED = msgspec.json.Decoder(Key | Absent)


class Reservation(msgspec.Struct, frozen=True):
    """What one exchange asks admission for."""

    open: OpenRecord
    epoch: str
    cache_digest: str
    probe: bool


class _Names(NamedTuple):
    """The names in Redis of all that the exchanges of one key in one process touch."""

    counters: str
    open_records: str
    open_leases: str
    rates: str
    settled: str
    told: str
    spends: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def _names(organisation_id: str, lease: str, key_id: str, budget_ids: tuple[str, ...]) -> _Names:
    return _Names(
        redis_names.counters(organisation_id),
        redis_names.open_records(organisation_id, lease),
        redis_names.open_leases(organisation_id),
        redis_names.rates(organisation_id, key_id),
        redis_names.settled(organisation_id),
        redis_names.told(organisation_id),
        tuple(redis_names.spend(organisation_id, budget_id) for budget_id in budget_ids),
    )


def read_key(raw: bytes) -> Key | None:
    """A published key, None for a published absence; ShapeError when it is neither."""
    try:
        found = _PUBLISHED.decode(raw)
    except msgspec.MsgspecError as fault:
        raise values.ShapeError(f"Key: {fault}") from None
    return found if isinstance(found, Key) else None


def split_open(raw: bytes) -> tuple[int, tuple[int, ...], OpenRecord]:
    """A stored open record as (reserved micro-dollars, window start of each budget, record)."""
    head, _, body = raw.partition(b"|")
    reserved, windows, at = (*head.split(b";"), b"0")[:3]
    starts = tuple(int(part) for part in windows.split(b",") if part)
    record = msgspec.structs.replace(values.decode(OpenRecord, body), admitted_ms=int(at) * 1000)
    return int(reserved), starts, record


def join_open(record: OpenRecord, windows: Sequence[int]) -> bytes:
    """The stored form of an open record."""
    starts = ",".join(str(start) for start in windows)
    return f"{record.reserved};{starts};{record.admitted_ms // 1000}|".encode() + values.encode(record)


async def admit(redis: Redis, caller: Caller, wish: Reservation) -> list[Any]:
    """Run the admission script; its answer as in `scripts.py`."""
    record, key = wish.open, caller.key
    names = _names(record.organisation_id, record.lease, key.id, record.budget_ids)
    cached = redis_names.cached(record.organisation_id, wish.cache_digest)
    keys = (names.counters, names.open_records, names.open_leases, cached, names.rates, *names.spends)
    args: list[Argument] = [
        wish.epoch,
        record.id,
        record.lease,
        values.encode(record),
        record.reserved,
        key.requests_per_minute or 0,
        key.requests_at_once or 0,
        int(wish.probe),
    ]
    for budget in key.budgets:
        args += _budget_arguments(budget)
    answer: list[Any] = await redis.script(ADMIT_SCRIPT, keys, args)
    return answer


def settle_call(record: OpenRecord, charged: int) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
    """Keys and arguments of the settling script."""
    names = _names(record.organisation_id, record.lease, record.key_id, record.budget_ids)
    keys = (names.open_records, names.rates, names.counters, names.settled, *names.spends)
    return keys, (record.id, charged)


def settle_sync(client: Any, record: OpenRecord, charged: int) -> bool:
    """Settle from the control half, with redis-py's client; False when it was settled before."""
    keys, args = settle_call(record, charged)
    return bool(client.eval(SETTLE, len(keys), *keys, *args))


def _budget_arguments(budget: Budget) -> list[Argument]:
    lifetime = budget.window is Window.LIFETIME
    starts = (0,) if lifetime else starts_at_hour(budget.window, budget.zone, int(time()) // 3600)
    limit = -1 if budget.limit is None else budget.limit
    return [limit, int(budget.hard), len(starts), *starts]


async def reopen(redis: Redis, record: OpenRecord, windows: Sequence[int]) -> bool:
    """Register an open record again: it, what it holds, and that it is under way; False when the store still had it."""
    names = _names(record.organisation_id, record.lease, record.key_id, record.budget_ids)
    keys = (names.open_records, names.open_leases, names.rates, names.told, *names.spends)
    stored = join_open(record, windows)
    args: list[Argument] = [record.id, record.lease, stored, record.reserved, TOLD_SECONDS, *windows]
    return bool(await redis.script(REOPEN_SCRIPT, keys, args))

# SPDX-License-Identifier: Apache-2.0
"""What this room reads and writes in Redis: open records, leases, and two scripts about spend counters."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core import redis_names
from apps.core.values import ShapeError
from apps.keys.domain import OpenRecord
from apps.keys.store import TOLD_SECONDS, split_open

CORRECTED_SECONDS = 30 * 86_400
REBUILD_SECONDS = 120

# KEYS  1 rebuild token, 2 counters flag, 3 settled since, 4 corrections, 5.. spend of each budget
# ARGV  1 token, 2 epoch, 3 number of corrections, the corrections, then per budget: field, micro-dollars to add
# Answers 1 when the counters were built, 2 when they had survived, 0 when this rebuild lost its right to finish.
FINISH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
local before = redis.call('GET', KEYS[2])
if before then
  redis.call('SET', KEYS[2], ARGV[2])
  return 2
end
local p = 4
for i = 1, tonumber(ARGV[3]) do
  redis.call('SADD', KEYS[4], ARGV[p])
  p = p + 1
end
for i = 5, #KEYS do
  redis.call('HINCRBY', KEYS[i], ARGV[p], ARGV[p + 1])
  p = p + 2
end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""

# KEYS  1 counters flag, 2 corrections, 3.. spend of each budget
# ARGV  1 the correction, 2 seconds to remember it, then per budget: field, micro-dollars to add
# Answers 1 when this call applied it, 0 when it was applied before, -1 when there are no counters yet.
CORRECT = """
if not redis.call('GET', KEYS[1]) then return -1 end
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[2])
for i = 3, #KEYS do
  local field = ARGV[2 * i - 3]
  if redis.call('HEXISTS', KEYS[i], field) == 1 then redis.call('HINCRBY', KEYS[i], field, ARGV[2 * i - 2]) end
end
return 1
"""


# KEYS  1 counters flag, 2 what the store was told of later, 3.. spend of each budget
# ARGV  1 epoch, 2 request id, 3 seconds to remember it, then per budget: field, micro-dollars to add
# Answers 1 when this call counted it, 0 when it was counted before, -1 when the counters are of another epoch.
GUESSED = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
if redis.call('SADD', KEYS[2], ARGV[2]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[3])
for i = 3, #KEYS do redis.call('HINCRBY', KEYS[i], ARGV[2 * i - 2], ARGV[2 * i - 1]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a gateway process said of itself: the epoch it registered its exchanges for, and its journal's end."""

    epoch: str
    position: int
    at_ms: int


def organisations(client: Any) -> list[str]:
    """The organisations that are published."""
    return sorted(raw.decode() for raw in client.smembers(redis_names.ORGANISATIONS))


def epoch(client: Any) -> str:
    """The epoch in force, empty while nothing is published."""
    return (client.get(redis_names.EPOCH) or b"").decode()


def counters_epoch(client: Any, organisation_id: str) -> str:
    """The epoch that an organisation's counters were built for, empty when they are not."""
    return (client.get(redis_names.counters(organisation_id)) or b"").decode()


def acknowledged(client: Any) -> dict[str, Acknowledged]:
    """What each gateway process said last, those that have died since included."""
    found: dict[str, Acknowledged] = {}
    for lease, raw in client.hgetall(redis_names.LEASES).items():
        try:
            said = json.loads(raw)
            found[lease.decode()] = Acknowledged(str(said["epoch"]), int(said["position"]), int(said["at"]))
        except (ValueError, KeyError, TypeError):
            found[lease.decode()] = Acknowledged("", 0, 0)
    return found


def lives(client: Any, lease: str) -> bool:
    """Whether a process has renewed its lease lately."""
    return bool(client.exists(redis_names.lease(lease)))


def open_leases(client: Any, organisation_id: str) -> list[str]:
    """Leases that may have open records of an organisation."""
    return sorted(raw.decode() for raw in client.smembers(redis_names.open_leases(organisation_id)))


def open_records(client: Any, organisation_id: str, lease: str) -> tuple[list[OpenRecord], int]:
    """The open records of a lease, and how many there are that nobody can read."""
    found, unreadable = [], 0
    for raw in client.hgetall(redis_names.open_records(organisation_id, lease)).values():
        try:
            found.append(split_open(raw)[2])
        except (ShapeError, ValueError):
            unreadable += 1
    return found, unreadable


def touched_ids(client: Any, organisation_id: str) -> set[str]:
    """Requests that are open in the store, or were settled in it since its counters were lost."""
    # Open ones first: what moves on while we look is then in the second answer.
    found: set[bytes] = set()
    for lease in open_leases(client, organisation_id):
        found.update(client.hkeys(redis_names.open_records(organisation_id, lease)))
    found.update(client.smembers(redis_names.settled(organisation_id)))
    return {raw.decode() for raw in found}


def forget_lease(client: Any, organisation_id: str, lease: str) -> None:
    """Drop a dead lease without open records from an organisation's list."""
    client.srem(redis_names.open_leases(organisation_id), lease)


def forget_process(client: Any, lease: str) -> None:
    """Drop what a dead process said."""
    client.hdel(redis_names.LEASES, lease)


def begin_rebuild(client: Any, organisation_id: str, token: str) -> None:
    """Announce a rebuild; whoever flushes the store takes the token away."""
    client.set(redis_names.rebuilding(organisation_id), token, ex=REBUILD_SECONDS)


def finish_rebuild(
    client: Any,
    organisation_id: str,
    *,
    token: str,
    for_epoch: str,
    corrections: Sequence[int],
    amounts: Iterable[tuple[str, int, int]],
) -> int:
    """Add (budget, window start, micro-dollars) and declare the counters built, all at once; see FINISH."""
    rows = list(amounts)
    keys = [
        redis_names.rebuilding(organisation_id),
        redis_names.counters(organisation_id),
        redis_names.settled(organisation_id),
        redis_names.corrected(organisation_id),
        *(redis_names.spend(organisation_id, budget_id) for budget_id, _start, _amount in rows),
    ]
    args: list[str | int] = [token, for_epoch, len(corrections), *corrections]
    for _budget_id, start, amount in rows:
        args += [f"{start}:spent", amount]
    return int(client.eval(FINISH, len(keys), *keys, *args))


def correct(
    client: Any, organisation_id: str, correction_id: int, amounts: Sequence[tuple[str, int, int]]
) -> int:
    """Apply a correction to the windows that are still counted; see CORRECT."""
    keys = [
        redis_names.counters(organisation_id),
        redis_names.corrected(organisation_id),
        *(redis_names.spend(organisation_id, budget_id) for budget_id, _start, _amount in amounts),
    ]
    args: list[str | int] = [correction_id, CORRECTED_SECONDS]
    for _budget_id, start, amount in amounts:
        args += [f"{start}:spent", amount]
    return int(client.eval(CORRECT, len(keys), *keys, *args))


def mark_told(client: Any, organisation_id: str, record_ids: Sequence[str]) -> None:
    """Remember that the store has open records of these exchanges: settling those is what counts them."""
    if record_ids:
        client.sadd(redis_names.told(organisation_id), *record_ids)
        client.expire(redis_names.told(organisation_id), TOLD_SECONDS)


def count_guessed(
    client: Any, organisation_id: str, record_id: str, for_epoch: str, amounts: Sequence[tuple[str, int, int]]
) -> int:
    """Count an exchange that the store was never told of; see GUESSED."""
    keys = [
        redis_names.counters(organisation_id),
        redis_names.told(organisation_id),
        *(redis_names.spend(organisation_id, budget_id) for budget_id, _start, _amount in amounts),
    ]
    args: list[str | int] = [for_epoch, record_id, TOLD_SECONDS]
    for _budget_id, start, amount in amounts:
        args += [f"{start}:spent", amount]
    return int(client.eval(GUESSED, len(keys), *keys, *args))


def spent(client: Any, organisation_id: str, budget_id: str, start: int) -> int:
    """What a counter says was spent in a window."""
    return int(client.hget(redis_names.spend(organisation_id, budget_id), f"{start}:spent") or 0)

# SPDX-License-Identifier: Apache-2.0
"""The steps about the caller: identify, admit and reserve, settle."""

import asyncio
import functools
from collections.abc import Mapping
from time import time
from typing import Any

import hiredis
import msgspec

from apps.core import money
from apps.core.clock import from_ms, now_ms
from apps.core.keyring import KeyRing
from apps.core.outcome import Refuse
from apps.core.redis import Redis, RedisDown
from apps.keys import store
from apps.keys.book import KeyBook, Missing
from apps.keys.domain import PREFIX, Assurance, Budget, Caller, Key, OpenRecord, boundaries

# Anthropic's clients and Google's have headers of their own.
_KEY_HEADERS = frozenset({b"x-api-key", b"x-goog-api-key"})
RETRY = (("retry-after", "5"),)
_UNKNOWN = Refuse(
    "invalid_api_key", "The key is not known here. Check it, or ask for one under Request a key."
)
_UNSURE = Refuse(
    "admission_unavailable", "Keys cannot be checked at the moment. Send the request again.", headers=RETRY
)


class Admission(msgspec.Struct):
    """What admission decided: `open` is to be settled; `answer` is the cached one, which holds nothing open."""

    open: OpenRecord | None
    windows: tuple[int, ...] = ()
    answer: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    guessed: bool = False
    # The second that chose the windows, by the store's clock, by ours where it was guessed; 0 for a cached answer.
    admitted_ms: int = 0


def credential(headers: Mapping[bytes, bytes], in_address: str = "") -> str | Refuse:
    """The one credential of a request, from wherever a dialect puts it; two different ones are refused."""
    bearer = headers.get(b"authorization", b"")
    if bearer.startswith(b"Bearer sk-") and not in_address and _KEY_HEADERS.isdisjoint(headers):
        # What nearly every client sends.
        return bearer[7:].strip().decode("latin-1")
    others = {found for name in _KEY_HEADERS if (found := headers.get(name))}
    if in_address:
        others.add(in_address.encode("latin-1", "replace"))
    token = b""
    if bearer:
        scheme, _, token = bearer.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            return Refuse("invalid_api_key", "The authorization header must be `Bearer` and a key.")
    if token:
        others.add(token)
    if len(others) > 1:
        names = "`authorization`, `x-api-key` or `x-goog-api-key`"
        return Refuse("conflicting_credentials", f"{names} carry different keys; send one.")
    for found in others:
        return found.decode("latin-1")
    return Refuse("missing_api_key", "No key was sent. Send `Authorization: Bearer sk-sf-…`.")


def recognise(book: KeyBook, ring: KeyRing, secret: str) -> Key | Missing | Refuse:
    """The key of a secret as far as memory knows; `Missing` must be loaded, no other answer needs I/O."""
    if not secret.startswith(PREFIX) or len(secret) != len(PREFIX) + 48:
        return _UNKNOWN
    found = book.find(ring.digest(secret))
    if isinstance(found, Key):
        return found
    # A key made before the last rotation is found under an older digest.
    older = [book.find(digest) for digest in ring.digests(secret)[1:]]
    for key in older:
        if isinstance(key, Key):
            return key
    return next((one for one in (found, *older) if isinstance(one, Missing)), _UNKNOWN)


async def load(book: KeyBook, ring: KeyRing, secret: str) -> Key | Refuse:
    """The key of a secret from Redis, asking control where Redis does not know it."""
    try:
        for digest in ring.digests(secret):
            known = book.find(digest)
            found = await book.load(digest) if isinstance(known, Missing) else known
            if found is not None:
                return found
    except (RedisDown, hiredis.ReplyError, TimeoutError):
        return _UNSURE
    return _UNKNOWN


def caller_of(book: KeyBook, key: Key, asserted_person: str = "") -> Caller | Refuse:
    """Who is behind a key: refused when it ended, was switched off, or floods this process."""
    if not key.enabled:
        return Refuse(
            "disabled_api_key", f"Key {key.hint} was switched off. Ask its owner or an administrator."
        )
    if key.expires_ms is not None and key.expires_ms <= time() * 1000:
        ended = from_ms(key.expires_ms).strftime("%-d %b %Y %H:%M UTC")
        return Refuse(
            "expired_api_key", f"Key {key.hint} ended on {ended}. Its owner can rotate it under My access."
        )
    wait = book.flood_wait(key)
    if wait:
        return Refuse(
            "flooded",
            f"Key {key.hint} sends more at once than one process accepts.",
            headers=(("retry-after", str(wait)),),
        )
    if asserted_person and key.may_assert_person:
        return Caller(key, Assurance.ASSERTED, asserted_person)
    sure = Assurance.VERIFIED if key.person_id else Assurance.APPLICATION
    return Caller(key, sure, key.person_name, key.email)


async def admit(redis: Redis, book: KeyBook, caller: Caller, wish: store.Reservation) -> Admission | Refuse:
    """One round trip that checks every limit of the caller's path and reserves; without Redis a share or a refusal."""
    try:
        answer = await store.admit(redis, caller, wish)
    except RedisDown:
        return _without_redis(book, caller, wish)
    match answer[0]:
        case b"ok":
            return _admitted(caller, wish, answer)
        case b"hit":
            return Admission(None, answer=answer[2], headers=_rate_headers(caller.key, int(answer[1])))
        case b"rate":
            return _rate_refused(caller.key, answer)
        case b"parallel":
            text = f"Key {caller.key.hint} already has {int(answer[1])} requests under way, its limit."
            return Refuse("rate_limit_exceeded", text, headers=(("retry-after", "1"),))
        case b"budget":
            return _budget_refused(caller, answer, wish.open.reserved)
    return _unavailable(caller)


def settle_soon(redis: Redis, record: OpenRecord, charged: int) -> "asyncio.Future[Any]":
    """Settle with this tick's other commands; the future may fail, the charge then has to be settled again."""
    keys, args = store.settle_call(record, charged)
    return redis.command("EVALSHA", store.SETTLE_SCRIPT.sha, len(keys), *keys, *args)


async def settle(redis: Redis, record: OpenRecord, charged: int) -> bool:
    """Replace a reservation by what was really used; False when somebody settled it before."""
    keys, args = store.settle_call(record, charged)
    return bool(await redis.script(store.SETTLE_SCRIPT, keys, args))


async def reopen(redis: Redis, pending: list[tuple[OpenRecord, tuple[int, ...]]]) -> None:
    """Register open records again after Redis lost them, so that a rebuild sees what is held."""
    await asyncio.gather(*(store.reopen(redis, record, windows) for record, windows in pending))


def _admitted(caller: Caller, wish: store.Reservation, answer: list[Any]) -> Admission:
    cells = list(map(int, answer[3:]))
    headers = _rate_headers(caller.key, int(answer[1]))
    for place, budget in enumerate(caller.key.budgets):
        if budget.limit is not None:
            _, end, spent, held = cells[4 * place : 4 * place + 4]
            headers += _budget_headers(budget, spent, held + wish.open.reserved, end)
            break
    at = int(answer[2]) * 1000
    # As the store has it, for the case that it must be registered again.
    record = msgspec.structs.replace(wish.open, admitted_ms=at)
    return Admission(record, tuple(cells[::4]), headers=headers, admitted_ms=at)


def _rate_headers(key: Key, left: int) -> tuple[tuple[bytes, bytes], ...]:
    if key.requests_per_minute is None:
        return ()
    return (
        (b"x-ratelimit-limit-requests", b"%d" % key.requests_per_minute),
        (b"x-ratelimit-remaining-requests", b"%d" % max(0, left)),
    )


def _budget_headers(budget: Budget, spent: int, held: int, end: int) -> tuple[tuple[bytes, bytes], ...]:
    name, most, reset = _budget_facts(budget.name, budget.limit or 0, end)
    left = max(0, (budget.limit or 0) - spent - held)
    return (
        (b"x-smartflow-budget", name),
        (b"x-smartflow-budget-limit", most),
        (b"x-smartflow-budget-spent", money.micro_text(spent).encode()),
        (b"x-smartflow-budget-remaining", money.micro_text(left).encode()),
        *reset,
    )


@functools.lru_cache(maxsize=4096)
def _budget_facts(name: str, limit: int, end: int) -> tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]:
    """What stays the same of a budget's headers for as long as its window lasts."""
    until = from_ms(end * 1000).strftime("%Y-%m-%dT%H:%M:%SZ").encode() if end else b""
    reset = ((b"x-smartflow-budget-reset", until),) if end else ()
    return header_text(name).encode(), money.micro_text(limit).encode(), reset


def _said(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[str, str], ...]:
    """Headers in the form of a refusal."""
    return tuple((name.decode(), value.decode()) for name, value in headers)


def _rate_refused(key: Key, answer: list[Any]) -> Refuse:
    limit, wait = int(answer[1]), int(answer[2])
    text = f"Key {key.hint} may send {limit} requests per minute and has. The next one may come in {wait} s."
    return Refuse(
        "rate_limit_exceeded", text, headers=(("retry-after", str(wait)), *_said(_rate_headers(key, 0)))
    )


def _budget_refused(caller: Caller, answer: list[Any], reserved: int) -> Refuse:
    index, spent, held, limit, end, at = (int(cell) for cell in answer[1:7])
    budget = caller.key.budgets[index]
    amounts = f"{_usd(spent)} of {_usd(limit)} spent"
    if held:
        amounts += f" and {_usd(held)} reserved by requests under way"
    reset = f" It resets on {from_ms(end * 1000).strftime('%-d %b %Y at %H:%M UTC')}." if end else ""
    text = f"Budget “{budget.name}” has {amounts}; this request may cost up to {_usd(reserved)}.{reset}"
    wait = (("retry-after", str(max(1, end - at))),) if end else ()
    return Refuse("budget_exceeded", text, headers=(*wait, *_said(_budget_headers(budget, spent, held, end))))


def _without_redis(book: KeyBook, caller: Caller, wish: store.Reservation) -> Admission | Refuse:
    if caller.has_hard_budget:
        return _unavailable(caller)
    if not book.share(caller.key):
        text = (
            f"Key {caller.key.hint} used up this process's share of its limit while counters are unreachable."
        )
        return Refuse("rate_limit_exceeded", text, headers=RETRY)
    at = now_ms() // 1000 * 1000
    windows = tuple(boundaries(budget.window, budget.zone, from_ms(at))[0] for budget in caller.key.budgets)
    record = msgspec.structs.replace(wish.open, admitted_ms=at)
    return Admission(record, windows, guessed=True, admitted_ms=at)


def _unavailable(caller: Caller) -> Refuse:
    text = f"The budgets of key {caller.key.hint} cannot be checked at the moment, and they are hard limits."
    return Refuse("admission_unavailable", text, headers=RETRY)


def _usd(micro: int) -> str:
    return f"${money.micro_text(micro)}"


def header_text(text: str) -> str:
    """A name as an HTTP header value can carry it: visible ASCII, everything else as a question mark."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:200]

# SPDX-License-Identifier: Apache-2.0
"""The step that calls: one target after the other until an answer's head has come that can be used."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import msgspec

from apps.core.http import Call, CallError, Client, Incoming
from apps.core.outcome import Refuse
from apps.providers.dialects.dialect import Dialect, Whole

# A provider's refusal of these is about the request; everything else is about the provider or our set-up.
_CALLERS_FAULT = {400, 413, 422}
_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """Everything needed to call one target; the credential is open only here."""

    target_id: str
    target: str
    provider: str
    upstream_model: str
    base_url: str
    dialect: Dialect
    credential: str = field(repr=False)
    connect: float = 5.0
    silence: float = 120.0
    total: float = 600.0
    verify_tls: bool = True
    private_allowed: bool = False


class Tried(msgspec.Struct, frozen=True):
    """One attempt: times are nanoseconds of the process's clock; `status` 0 where no head came."""

    route: Route
    began: int
    ended: int
    status: int
    outcome: str
    detail: str = ""
    retry_after: str = ""


class Sent(msgspec.Struct):
    """A usable answer and how it was come by; `whole` for JSON, `incoming` for a stream whose body is to be read."""

    route: Route
    tried: list[Tried]
    whole: Whole | None = None
    raw: bytes = b""
    incoming: Incoming | None = None
    began: int = 0


async def send(
    client: Client,
    routes: Sequence[Route],
    fields: Mapping[str, Any],
    tried: list[Tried],
    *,
    stream: bool,
    seconds: float,
    request_id: str,
) -> Sent | Refuse:
    """Call the targets in order within a number of seconds; each attempt is added to `tried`, also when cancelled."""
    deadline = perf_counter_ns() + int(seconds * 1e9)
    for route in routes:
        left = (deadline - perf_counter_ns()) / 1e9
        if left <= 0:
            break
        began = perf_counter_ns()
        call = _call(route, fields, stream=stream, left=left, request_id=request_id)
        try:
            outcome = await _attempt(client, call, route, began, head=left if stream else None)
        except asyncio.CancelledError:
            tried.append(Tried(route, began, perf_counter_ns(), 0, "cancelled"))
            raise
        if isinstance(outcome, Sent):
            outcome.tried = tried
            if not stream:
                tried.append(Tried(route, began, perf_counter_ns(), 200, "ok"))
            return outcome
        tried.append(outcome)
        if outcome.status in _CALLERS_FAULT:
            # The same request would be refused elsewhere too.
            break
    return refusal(tried)


def refusal(tried: Sequence[Tried]) -> Refuse:
    """What the client is told when no target answered: about its own request where that was the fault."""
    if not tried:
        return Refuse("upstream_timeout", "The time allowed was over before any target was called.")
    last = tried[-1]
    where = f"target “{last.route.target}”"
    said = f" It said: {last.detail}" if last.detail else ""
    if last.status in _CALLERS_FAULT:
        return Refuse(
            "upstream_rejected",
            f"The provider behind {where} refused the request.{said}",
            upstream_status=last.status,
        )
    if last.status == 429:
        wait = (("retry-after", last.retry_after),) if last.retry_after.isdigit() else ()
        text = f"The provider behind {where} is at its own limit.{said}"
        return Refuse("rate_limit_exceeded", text, headers=wait)
    if last.outcome == "timeout":
        return Refuse(
            "upstream_timeout", f"{_count(tried)}: {where} did not answer in time. Nothing was charged."
        )
    reasons = {
        "connect": "cannot be reached",
        "tls": "has no valid certificate",
        "refused": "may not be called",
        "cut": "broke off",
    }
    reason = reasons.get(
        last.outcome, f"answered with status {last.status}" if last.status else "gave no usable answer"
    )
    return Refuse("upstream_error", f"{_count(tried)}: {where} {reason}. Nothing was charged.")


def _count(tried: Sequence[Tried]) -> str:
    return "The one target did not answer" if len(tried) == 1 else f"None of {len(tried)} targets answered"


def _call(route: Route, fields: Mapping[str, Any], *, stream: bool, left: float, request_id: str) -> Call:
    return Call(
        url=route.base_url + route.dialect.path(route.upstream_model, stream=stream),
        headers=(*route.dialect.headers(route.credential), ("x-request-id", request_id)),
        body=route.dialect.encode(fields, route.upstream_model),
        connect=min(route.connect, left),
        silence=min(route.silence, left) if not stream else route.silence,
        # A stream may go on as long as it speaks; a JSON answer must be whole in time.
        total=None if stream else min(route.total, left),
        private_allowed=route.private_allowed,
        verify_tls=route.verify_tls,
    )


async def _attempt(
    client: Client, call: Call, route: Route, began: int, *, head: float | None
) -> Sent | Tried:
    """One call; `head` is how many seconds a stream has to begin, None for a JSON answer."""
    incoming: Incoming | None = None
    stream = head is not None
    try:
        if head is None:
            incoming = await client.send(call)
        else:
            async with asyncio.timeout(head):
                incoming = await client.send(call)
        if incoming.status != 200:
            return await _failed(incoming, route, began)
        if stream and incoming.header("content-type").startswith("text/event-stream"):
            return Sent(route, [], incoming=incoming, began=began)
        raw = await incoming.read()
        return Sent(route, [], whole=route.dialect.decode(raw), raw=raw, began=began)
    except CallError as fault:
        return Tried(
            route,
            began,
            perf_counter_ns(),
            incoming.status if incoming else 0,
            fault.kind,
            str(fault) if fault.kind == "refused" else "",
        )
    except TimeoutError:
        return Tried(route, began, perf_counter_ns(), 0, "timeout")
    except (ValueError, RecursionError):
        return Tried(route, began, perf_counter_ns(), 200, "garbage")
    except BaseException:
        if incoming is not None:
            incoming.close()
        raise


async def _failed(incoming: Incoming, route: Route, began: int) -> Tried:
    detail = ""
    try:
        detail = (
            route.dialect.error_text(await incoming.read(_ERROR_BYTES))
            if incoming.status in {*_CALLERS_FAULT, 429}
            else ""
        )
    except CallError:
        detail = ""
    finally:
        incoming.close()
    return Tried(
        route, began, perf_counter_ns(), incoming.status, "status", detail, incoming.header("retry-after")
    )

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
from apps.providers.dialects.fitted import Quirks
from apps.providers.dialects.gemini import retry_after
from apps.providers.dialects.signatures import own_signatures, own_thinking
from apps.providers.fields import own_name
from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Pair
from apps.providers.pairs.table import COMPLETIONS, TABLE, VECTORS
from apps.providers.rates import Rates, in_effect

PAIRS = TABLE | COMPLETIONS | VECTORS
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
    # What this target costs, where that was published with it.
    rates: Rates | None = None
    later: tuple[Rates, ...] = ()
    # What this endpoint cannot be told; None for nearly all, so that they pay nothing.
    quirks: Quirks | None = None

    def rates_at(self, at_ms: int) -> Rates | None:
        """The target's own prices of a moment; None where those of the model count."""
        return in_effect(self.rates, self.later, at_ms) if self.later else self.rates


class Tried(msgspec.Struct, frozen=True):
    """One attempt: times are nanoseconds of the process's clock; `status` 0 where no head came."""

    route: Route
    began: int
    ended: int
    status: int
    outcome: str
    detail: str = ""
    retry_after: str = ""


class Question(msgspec.Struct, frozen=True):
    """A request in the client's dialect, and what a call needs to know beside it."""

    dialect: str
    fields: Mapping[str, Any]
    stream: bool
    # What the client says about its own dialect in headers, for providers who speak it too.
    told: tuple[tuple[str, str], ...] = ()
    # For translations: the model as the client names it, and what may be left out.
    model: str = ""
    drop: bool = False
    wants_usage: bool = False
    output_cap: int = 4096
    created: int = 0
    request_id: str = ""
    # Translations of another call than chat.
    pairs: Mapping[tuple[str, str], Pair] | None = None

    def ask(self, route: Route) -> Ask:
        """What a translation for a route has to know."""
        return Ask(
            model=self.model,
            upstream_model=route.upstream_model,
            stream=self.stream,
            drop=self.drop,
            created=self.created,
            request_id=self.request_id,
            include_usage=self.wants_usage,
            output_cap=self.output_cap,
        )


class Sent(msgspec.Struct):
    """A usable answer and how it was come by; `whole` for JSON, `incoming` for a stream whose body is to be read.

    `pair` and `ask` say how it is translated; without a pair provider and client speak one dialect.
    """

    route: Route
    tried: list[Tried]
    pair: Pair | None = None
    ask: Ask | None = None
    whole: Whole | None = None
    raw: bytes = b""
    incoming: Incoming | None = None
    began: int = 0


async def send(
    client: Client,
    routes: Sequence[Route],
    question: Question,
    tried: list[Tried],
    *,
    seconds: float,
) -> Sent | Refuse:
    """Call the targets in order within a number of seconds; each attempt is added to `tried`, also when cancelled."""
    deadline = perf_counter_ns() + int(seconds * 1e9)
    stream, unsaid = question.stream, None
    for route in routes:
        left = (deadline - perf_counter_ns()) / 1e9
        if left <= 0:
            break
        began = perf_counter_ns()
        try:
            fields, pair, ask = _translated(question, route)
        except (InexpressibleError, InvalidError) as fault:
            unsaid = _unsaid(fault, route)
            continue
        call = _call(route, fields, question, left, own=pair is None)
        try:
            outcome = await _attempt(client, call, route, began, head=left if stream else None)
        except asyncio.CancelledError:
            tried.append(Tried(route, began, perf_counter_ns(), 0, "cancelled"))
            raise
        if isinstance(outcome, Sent):
            outcome.tried, outcome.pair, outcome.ask = tried, pair, ask
            if not stream:
                tried.append(Tried(route, began, perf_counter_ns(), 200, "ok"))
            return outcome
        tried.append(outcome)
        if outcome.status in _CALLERS_FAULT:
            # The same request would be refused elsewhere too.
            break
    return unsaid if unsaid is not None and not tried else refusal(tried)


def _translated(question: Question, route: Route) -> tuple[Mapping[str, Any], Pair | None, Ask | None]:
    """The request in the dialect of a route."""
    pair = (question.pairs or PAIRS).get((question.dialect, route.dialect.name))
    if pair is None:
        if route.quirks is not None:
            _refuse_quirks(question.fields, route.quirks, question)
        return _own(question.fields, route), None, None
    ask = question.ask(route)
    body = pair.request(question.fields, ask)
    if route.quirks is not None:
        _refuse_quirks(body, route.quirks, question)
    return body, pair, ask


def _refuse_quirks(body: Mapping[str, Any], quirks: Quirks, question: Question) -> None:
    """What the endpoint cannot be told stops the request, unless the caller lets it be left out."""
    if question.drop:
        return
    for name, reason in quirks.refused(body):
        raise InexpressibleError(own_name(question.dialect, name), reason)


def _own(fields: Mapping[str, Any], route: Route) -> Mapping[str, Any]:
    """The request without what another provider signed: a conversation may have been there before."""
    if route.dialect.name == "anthropic":
        return own_thinking(fields)
    return own_signatures(fields, route.upstream_model) if route.dialect.name == "gemini" else fields


def _unsaid(fault: InexpressibleError | InvalidError, route: Route) -> Refuse:
    if isinstance(fault, InvalidError):
        return Refuse("invalid_request", f"{fault}.", fault.param)
    text = f"{fault}; the provider behind target “{route.target}” cannot be told. Send `x-smartflow-drop-params: true` to leave it out."
    return Refuse("unsupported_field", text, fault.param)


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


def _call(route: Route, fields: Mapping[str, Any], question: Question, left: float, *, own: bool) -> Call:
    stream = question.stream
    headers = route.dialect.headers(route.credential)
    if own and question.told:
        ours = dict(question.told)
        headers = (*(pair for pair in headers if pair[0] not in ours), *question.told)
    return Call(
        url=route.base_url + route.dialect.path(route.upstream_model, stream=stream),
        headers=(*headers, ("x-request-id", question.request_id)),
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
    detail, wait = "", incoming.header("retry-after")
    try:
        if incoming.status in {*_CALLERS_FAULT, 429}:
            body = await incoming.read(_ERROR_BYTES)
            detail = route.dialect.error_text(body)
            wait = wait or retry_after(body)
    except CallError:
        detail = ""
    finally:
        incoming.close()
    return Tried(route, began, perf_counter_ns(), incoming.status, "status", detail, wait)

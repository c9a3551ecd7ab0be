# SPDX-License-Identifier: Apache-2.0
"""Traces: the list with filters, the drawer, the page of one exchange, and the logged reveal."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from apps.audit import selectors, services
from apps.core import clock
from apps.dashboard import filters, histogram, ranges
from apps.dashboard.addresses import changed
from apps.dashboard.exchange import Exchange
from apps.dashboard.pages.access import first_steps
from apps.dashboard.ranges import Range
from apps.dashboard.shell import READERS, ROLE_NAMES, actor_of, page, scope_of, show
from apps.identity.domain import Actor

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Preset:
    """A link to the page with another range."""

    key: str
    label: str | Promise
    url: str


@require_GET
@page(*READERS)
def traces(request: HttpRequest) -> HttpResponse:
    """The list; with `?open=` the drawer of one exchange beside it."""
    actor = actor_of(request)
    range_ = ranges.read(request.GET, clock.now())
    chosen = filters.read(request)
    wanted = _record_filters(range_, chosen)
    org = scope_of(actor)
    try:
        found = selectors.page(org, filters=wanted, cursor=request.GET.get("cursor"), limit=PER_PAGE)
    except selectors.CursorError:
        return HttpResponseRedirect(changed(request, cursor=None))
    strip = histogram.draw(selectors.histogram(org, wanted, histogram.BUCKETS), range_.end)
    rows = [Exchange(record) for record in found.records]
    context: dict[str, Any] = {
        "range": range_,
        "presets": _presets(request),
        "chips": filters.chips(request, chosen),
        "fields": filters.fields(chosen),
        "clear": filters.clear(request),
        "records": rows,
        "newer": found.newer,
        "older": found.older,
        "strip": strip,
        "live": request.GET.get("live") == "1",
    }
    if not rows and not chosen:
        context |= _nothing(request, actor)
    context |= _drawer(request, actor, [row.record.id for row in rows])
    return show(request, "dashboard/traces.html", context)


@require_GET
@page(*READERS)
def trace(request: HttpRequest, record_id: str) -> HttpResponse:
    """One exchange on a page of its own."""
    actor = actor_of(request)
    return show(request, "dashboard/trace.html", _detail(actor, _exchange(actor, record_id)))


@never_cache
@require_http_methods(["GET", "POST"])
@page(*services.REVEALERS)
def reveal(request: HttpRequest, record_id: str) -> HttpResponse:
    """Prompt and answer, once, for a reason that goes into the change log; nothing of it is kept in an address."""
    if request.method != "POST":
        # A reload from the address line, or the way back from a form: only a form reveals.
        return HttpResponseRedirect(reverse("trace", args=[record_id]))
    actor = actor_of(request)
    exchange = _exchange(actor, record_id)
    context = _detail(actor, exchange)
    reason = request.POST.get("reason", "").strip()
    try:
        context["revealed"] = services.reveal(actor=actor, record_id=record_id, reason=reason)
    except ValidationError as fault:
        context["reveal_fault"] = " ".join(fault.messages)
        return show(request, "dashboard/trace.html", context, status=422)
    context["reason"] = reason
    return show(request, "dashboard/trace.html", context)


def _record_filters(range_: Range, chosen: dict[str, str]) -> selectors.RecordFilters:
    status = chosen.get("status", "")
    return selectors.RecordFilters(
        start=range_.start,
        end=range_.end,
        caller=chosen.get("caller", ""),
        team=chosen.get("team", ""),
        model=chosen.get("model", ""),
        target=chosen.get("target", ""),
        verdict=chosen.get("verdict", ""),
        status=int(status) if status else None,
        cache=chosen.get("cache", ""),
    )


def _presets(request: HttpRequest) -> list[Preset]:
    gone = dict.fromkeys(["from", "to", "cursor", "open"], None)
    return [Preset(key, label, changed(request, range=key, **gone)) for key, label in ranges.LABELS.items()]


def _nothing(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    """Whether there never was an exchange; then also how to send the first one."""
    if selectors.any_record(scope_of(actor)):
        return {"is_new": False}
    return {"is_new": True, **first_steps(request, actor)}


def _drawer(request: HttpRequest, actor: Actor, shown: list[str]) -> dict[str, Any]:
    wanted = request.GET.get("open", "")
    if not wanted:
        return {}
    record = selectors.get(scope_of(actor), wanted)
    if record is None:
        return {}
    place = shown.index(wanted) if wanted in shown else -1
    return {
        "open": wanted,
        "previous": shown[place - 1] if place > 0 else "",
        "next": shown[place + 1] if 0 <= place < len(shown) - 1 else "",
        **_detail(actor, Exchange(record)),
    }


def _exchange(actor: Actor, record_id: str) -> Exchange:
    record = selectors.get(scope_of(actor), record_id)
    if record is None:
        raise Http404(_("There is no exchange of this id in your organisation."))
    return Exchange(record)


def _detail(actor: Actor, exchange: Exchange) -> dict[str, Any]:
    return {
        "exchange": exchange,
        "may_reveal": actor.has(*services.REVEALERS),
        "reveal_roles": [ROLE_NAMES[role] for role in services.REVEALERS],
    }

# SPDX-License-Identifier: Apache-2.0
"""Approvals: what waits for a second person, with enough around it to say yes or no."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from apps.approvals import selectors, services
from apps.approvals.domain import ConflictError, Decision, State
from apps.core import clock
from apps.dashboard.shell import Text, actor_of, page, show
from apps.dashboard.verdicts import Look
from apps.identity.domain import Actor, Forbidden

MOST = 100
LONGEST_REASON = 1000
VIEWS: dict[str, Text] = {
    "open": gettext_lazy("Waiting"),
    "mine": gettext_lazy("Asked by me"),
    "all": gettext_lazy("All"),
}
LOOKS = {
    State.PENDING: Look("hold", "hold", gettext_lazy("Waiting")),
    State.APPROVED: Look("pass", "allow", gettext_lazy("Approved")),
    State.DENIED: Look("block", "block", gettext_lazy("Denied")),
    State.EXPIRED: Look("throttle", "clock", gettext_lazy("Expired")),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One request as the queue and the panel show it."""

    row: Any
    look: Look
    left: str
    limits: list[tuple[str, str]]
    may_decide: bool
    why_not: str


@require_GET
@page()
def approvals(request: HttpRequest, approval_id: str = "") -> HttpResponse:
    """The queue and, beside it, the request that is open: the one in the address, else the first."""
    actor = actor_of(request)
    items = _items(actor, _view(request, actor))
    opened = _opened(actor, approval_id, items)
    return show(request, "dashboard/approvals.html", _context(request, actor, items, opened))


@require_http_methods(["GET", "POST"])
@page()
def decide(request: HttpRequest, approval_id: str) -> HttpResponse:
    """Approve or deny; a denial needs a reason, which whoever asked will read."""
    actor = actor_of(request)
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    said = request.POST.get("decision", "")
    if request.method != "POST" or said not in set(Decision):
        return HttpResponseRedirect(reverse("approval", args=[approval_id]))
    if said == Decision.DENY and not reason:
        items = _items(actor, "open")
        context = _context(request, actor, items, _opened(actor, approval_id, items))
        context["reason_fault"] = _("Write why, so that whoever asked knows what to change.")
        return show(request, "dashboard/approvals.html", context, status=422)
    try:
        row = services.decide(actor=actor, approval_id=approval_id, decision=Decision(said), reason=reason)
    except ObjectDoesNotExist:
        raise Http404(_("There is no such request in your organisation.")) from None
    except (ConflictError, Forbidden) as fault:
        messages.error(request, str(fault))
        return HttpResponseRedirect(reverse("approval", args=[approval_id]))
    except ValidationError as fault:
        messages.error(request, " ".join(fault.messages))
        return HttpResponseRedirect(reverse("approval", args=[approval_id]))
    done = _("%(what)s is approved.") if row.state == State.APPROVED else _("%(what)s is denied.")
    messages.success(request, done % {"what": row.subject_name})
    return HttpResponseRedirect(reverse("approvals"))


def _view(request: HttpRequest, actor: Actor) -> str:
    wanted = request.GET.get("state", "")
    if wanted in VIEWS:
        return wanted
    return "open" if actor.has(*selectors.READERS) else "mine"


def _items(actor: Actor, view: str) -> list[Item]:
    if view == "open":
        rows = selectors.waiting_for(actor) if actor.has(*services.DECIDERS) else _pending(actor)
    else:
        rows = selectors.requests_for(actor)
    if view == "mine":
        rows = rows.filter(requested_by=actor.id)
    now = clock.now()
    return [_item(actor, row, now) for row in rows[:MOST]]


def _pending(actor: Actor) -> Any:
    return selectors.requests_for(actor, state=State.PENDING).filter(expires_at__gt=clock.now())


def _opened(actor: Actor, approval_id: str, items: Sequence[Item]) -> Item | None:
    if not approval_id:
        return items[0] if items else None
    row = selectors.requests_for(actor).filter(pk=approval_id).first()
    if row is None:
        raise Http404(_("There is no such request in your organisation."))
    return _item(actor, row, clock.now())


def _context(request: HttpRequest, actor: Actor, items: list[Item], opened: Item | None) -> dict[str, Any]:
    view = _view(request, actor)
    return {
        "items": items,
        "opened": opened,
        "view": view,
        "views": [
            (key, word) for key, word in VIEWS.items() if key != "open" or actor.has(*selectors.READERS)
        ],
    }


def _item(actor: Actor, row: Any, now: datetime) -> Item:
    state = State(row.state)
    if state is State.PENDING and row.expires_at <= now:
        state = State.EXPIRED
    why_not = ""
    if state is State.PENDING and row.requested_by == actor.id:
        why_not = _("You asked for this yourself. A second person must decide.")
    elif state is State.PENDING and not actor.has(*services.DECIDERS):
        why_not = _("Approvers and administrators decide.")
    return Item(
        row=row,
        look=LOOKS[state],
        left=_left(row.expires_at - now) if state is State.PENDING else "",
        limits=[(name.replace("_", " ").capitalize(), _plain(value)) for name, value in row.limits.items()],
        may_decide=state is State.PENDING and not why_not,
        why_not=why_not,
    )


def _plain(value: Any) -> str:
    """A limit as a person writes it."""
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _left(left: timedelta) -> str:
    minutes = max(int(left.total_seconds() // 60), 0)
    if minutes < 60:
        return _("%(count)d min left") % {"count": minutes}
    if minutes < 48 * 60:
        return _("%(count)d h left") % {"count": minutes // 60}
    return _("%(count)d d left") % {"count": minutes // (24 * 60)}

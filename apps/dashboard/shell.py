# SPDX-License-Identifier: Apache-2.0
"""What every page stands in: who is looking, what they may open, theme and density; and the door in front of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.approvals.selectors import READERS as APPROVAL_READERS
from apps.approvals.selectors import waiting_for
from apps.approvals.services import DECIDERS
from apps.core import ids
from apps.core.tenancy import EVERYONE
from apps.identity.domain import Actor, Forbidden, Role
from apps.identity.services import actor_of as actor_of_person

P = ParamSpec("P")
Text = str | Promise
THEMES = ("light", "dark")
DENSITIES = ("compact", "roomy")

ROLE_NAMES: dict[Role, Text] = {
    Role.ADMIN: _("Administrator"),
    Role.COMPLIANCE: _("Compliance"),
    Role.ENGINEER: _("Engineer"),
    Role.DEVELOPER: _("Developer"),
    Role.APPROVER: _("Approver"),
    Role.AUDITOR: _("Auditor"),
}
READERS = (Role.ADMIN, Role.COMPLIANCE, Role.ENGINEER, Role.AUDITOR)
HISTORIANS = (Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR)
OPERATORS = (Role.ADMIN, Role.ENGINEER)


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the sidebar; without roles it is everybody's. `letter` follows G on the keyboard."""

    url: str
    title: Text
    icon: str
    roles: tuple[Role, ...] = ()
    letter: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under one heading."""

    title: Text
    entries: tuple[Entry, ...]
    is_titled: bool = True


SECTIONS = (
    Section(_("Start"), (Entry("traces", _("Traces"), "traces", READERS, "t"),), is_titled=False),
    Section(
        _("Govern"),
        (
            Entry("approvals", _("Approvals"), "approvals", APPROVAL_READERS, "a"),
            Entry("changes", _("Changes"), "report", HISTORIANS, "c"),
        ),
    ),
    Section(pgettext_lazy("verb", "Run"), (Entry("system", _("System"), "system", OPERATORS, "s"),)),
    Section(_("Yours"), (Entry("access", _("My access"), "person", (), "m"),)),
)


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person as services want them; Forbidden when nobody is."""
    if not request.user.is_authenticated:
        raise Forbidden(gettext("Sign in first."))
    return replace(actor_of_person(request.user), request_id=request.headers.get("x-request-id", ""))


def scope_of(actor: Actor) -> str:
    """Whose rows the person sees: their organisation's, or everybody's for superusers."""
    return EVERYONE if actor.is_superuser else actor.organisation_id


def page(
    *roles: Role,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """A view for signed-in people with one of the roles; others are sent to sign in, or told which role opens it."""

    def with_door(
        view: Callable[Concatenate[HttpRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def behind_door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return HttpResponseRedirect(f"{reverse('signin')}?next={quote(request.get_full_path())}")
            if roles and not actor_of(request).has(*roles):
                return not_permitted(request, roles)
            return view(request, *args, **kwargs)

        return behind_door

    return with_door


def show(
    request: HttpRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """A page in its shell."""
    return render(request, template, {**_shell(request), **(context or {})}, status=status)


def not_permitted(request: HttpRequest, roles: tuple[Role, ...]) -> HttpResponse:
    """The third kind of empty: which role opens the page, and which ones the reader has."""
    mine = [ROLE_NAMES[Role(role)] for role in sorted(actor_of(request).roles)]
    wanted = [ROLE_NAMES[role] for role in roles]
    return show(request, "dashboard/forbidden.html", {"wanted": wanted, "mine": mine}, status=403)


def new_request_id(request: HttpRequest) -> str:
    """The id under which a fault is found in the log: the caller's, if the server gave it one."""
    given = request.headers.get("x-request-id", "")
    return given if ids.is_id("req", given) else ids.new("req")


def _shell(request: HttpRequest) -> dict[str, Any]:
    theme = request.COOKIES.get("theme", "")
    density = request.GET.get("rows", "")
    found: dict[str, Any] = {
        "theme": theme if theme in THEMES else "",
        "density": density if density in DENSITIES else "",
        "version": settings.SPECTACULAR_SETTINGS["VERSION"],
    }
    if request.user.is_authenticated:
        found |= _inside(request, actor_of(request))
    return found


def _inside(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    sections = [
        {
            "title": section.title,
            "is_titled": section.is_titled,
            "entries": [entry for entry in section.entries if not entry.roles or actor.has(*entry.roles)],
        }
        for section in SECTIONS
    ]
    return {
        "person": request.user,
        "initials": "".join(part[0] for part in actor.name.split()[:2]).upper() or "?",
        "role_names": [ROLE_NAMES[Role(role)] for role in sorted(actor.roles)] or [_("Employee")],
        "sections": [section for section in sections if section["entries"]],
        "waiting": waiting_for(actor).count() if actor.has(*DECIDERS) else 0,
        "here": request.resolver_match.url_name if request.resolver_match else "",
    }

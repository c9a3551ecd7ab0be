# SPDX-License-Identifier: Apache-2.0
"""Coming in and going out: sign-in, sign-out, the start address, the theme, and "Go to"."""

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core import ids
from apps.dashboard.shell import READERS, SECTIONS, THEMES, Text, actor_of, page, show
from apps.identity.signin import SignInForm

YEAR = 365 * 24 * 3600


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def signin(request: HttpRequest) -> HttpResponse:
    """The form, and the way on to where the person was bound for."""
    onward = safe_next(request, request.POST.get("next") or request.GET.get("next", ""))
    if request.method != "POST":
        if request.user.is_authenticated:
            return HttpResponseRedirect(onward or reverse("home"))
        return _form(request, SignInForm(request), onward)
    form = SignInForm(request, request.POST)
    if not form.is_valid():
        return _form(request, form, onward)
    login(request, form.get_user())
    return HttpResponseRedirect(onward or reverse("home"))


@require_POST
def signout(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return HttpResponseRedirect(reverse("signin"))


@require_GET
@page()
def home(request: HttpRequest) -> HttpResponse:
    """Traces for those who may read them, else what the person may use."""
    return HttpResponseRedirect(reverse("traces" if actor_of(request).has(*READERS) else "access"))


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Pin light or dark in a cookie, so that the server renders it and nothing flashes."""
    response = HttpResponseRedirect(safe_next(request, request.POST.get("next", "")) or reverse("home"))
    wanted = request.POST.get("theme", "")
    if wanted in THEMES:
        # Readable by the page's script, which keeps it and the admin's own setting alike.
        response.set_cookie("theme", wanted, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    return response


@require_GET
@page()
def goto(request: HttpRequest) -> HttpResponse:
    """A request id opens its page, a page's name that page, anything else the callers of that name."""
    wanted = request.GET.get("q", "").strip()
    if not wanted:
        return show(request, "dashboard/goto.html")
    if ids.is_id("req", wanted):
        return HttpResponseRedirect(reverse("trace", args=[wanted]))
    for section in SECTIONS:
        for entry in section.entries:
            if str(entry.title).lower().startswith(wanted.lower()):
                return HttpResponseRedirect(reverse(entry.url))
    return HttpResponseRedirect(f"{reverse('traces')}?{urlencode({'caller': wanted, 'range': '30d'})}")


def safe_next(request: HttpRequest, wanted: str) -> str:
    """The wanted address if it stays on this site, else nothing."""
    stays = wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts=None, require_https=request.is_secure()
    )
    return wanted if stays else ""


def _form(request: HttpRequest, form: SignInForm, onward: str) -> HttpResponse:
    context = {
        "form": form,
        # Fields first: a missing password is said before anything about the account.
        "fault": next((text for texts in form.errors.values() for text in texts), ""),
        "next": onward,
        "bound_for": _title_of(onward),
    }
    return show(request, "dashboard/signin.html", context, status=401 if form.errors else 200)


def _title_of(address: str) -> Text:
    """The name of the page an address leads to, if the sidebar knows it."""
    try:
        name = resolve(address.partition("?")[0]).url_name if address else None
    except Resolver404:
        return ""
    known = {entry.url: entry.title for section in SECTIONS for entry in section.entries}
    return known.get(name or "", "")

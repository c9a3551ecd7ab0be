# SPDX-License-Identifier: Apache-2.0
"""What is shown when there is no page, no right, or a fault; under `/api/` the same as problem details."""

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404
from django.utils.translation import gettext as _

from apps.core.errors import problem
from apps.dashboard.shell import new_request_id, show

log = logging.getLogger("smartflow.pages")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: the reason if a page gave one, never the list of addresses."""
    said = "" if isinstance(exception, Resolver404) or not exception.args else str(exception.args[0])
    detail = said or _("Nothing is at this address. It may have moved, or the link is incomplete.")
    return _answer(request, 404, _("Not found"), detail)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: which right is missing."""
    detail = str(exception) or _("Your roles do not allow this.")
    if request.path_info.startswith("/api/") or not request.user.is_authenticated:
        return _answer(request, 403, _("Not permitted"), detail)
    return show(request, "dashboard/forbidden.html", {"detail": detail}, status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the request itself cannot be used."""
    return _answer(request, 400, _("Bad request"), _("The request cannot be used as it is."))


def failed(request: HttpRequest) -> HttpResponse:
    """500: a fault of ours; the id on the page is the one in the log."""
    request_id = new_request_id(request)
    # Django logs the traceback itself; this line ties it to what the reader sees.
    log.error("%s %s failed; shown to the reader as %s", request.method, request.path, request_id)
    detail = _("This is a fault of Smartflow, not of what you did. Tell the people who run it this id.")
    return _answer(request, 500, _("Something failed"), detail, request_id)


def _answer(
    request: HttpRequest, status: int, heading: str, detail: str, request_id: str = ""
) -> HttpResponse:
    response: HttpResponse
    if request.path_info.startswith("/api/"):
        more = {"request_id": request_id} if request_id else {}
        response = JsonResponse(
            problem(status, heading, detail, **more), status=status, content_type="application/problem+json"
        )
    else:
        response = _page(request, status, {"heading": heading, "detail": detail, "request_id": request_id})
    if request_id:
        response["x-request-id"] = request_id
    return response


def _page(request: HttpRequest, status: int, context: dict[str, str]) -> HttpResponse:
    # Not `show`: the shell asks the database who is looking, and that may be what failed.
    return render(request, "dashboard/fault.html", context, status=status)

# SPDX-License-Identifier: Apache-2.0
"""Errors of the control API as problem details (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, PermissionDenied
from django.core.exceptions import ValidationError as RuleError
from django.db import IntegrityError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from apps.core.django_api import Conflict
from apps.core.django_rows import InUseError, refers_to_nothing
from apps.core.errors import problem
from apps.identity.domain import Forbidden

CONTENT_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


def problem_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """The answer to a fault: one sentence in `detail`, and for wrong input the sentences by field in `errors`."""
    known = _as_api_exception(exc)
    response = exception_handler(known, context)
    if response is None:
        _log.error("fault in %s", type(context.get("view")).__name__, exc_info=exc)
        known = exceptions.APIException(_("A fault of this system. Its log says more."))
        response = exception_handler(known, context)
        assert response is not None  # noqa: S101 - DRF answers its own exceptions
    status = response.status_code
    errors = {}
    if isinstance(known, exceptions.ValidationError):
        errors = {"errors": _by_field(known.detail)}
        detail = _("Some fields are not right: see `errors`.")
    else:
        detail = str(getattr(known, "detail", "") or _("There is nothing at this address that you may see."))
    if status == HTTPStatus.NOT_FOUND:
        detail = _("There is nothing at this address that you may see.")
    code = getattr(known, "default_code", None)
    response.data = problem(status, HTTPStatus(status).phrase, detail, code=code, **errors)
    response.content_type = CONTENT_TYPE
    return response


def _as_api_exception(exc: Exception) -> Exception:
    """Faults of services and Django as what they mean over HTTP."""
    match exc:
        case Forbidden():
            return exceptions.PermissionDenied(str(exc))
        case PermissionDenied():
            return exceptions.PermissionDenied(str(exc) or _("Your roles do not allow this."))
        case RuleError():
            faults: Any = exc.message_dict if hasattr(exc, "error_dict") else {NON_FIELD_ERRORS: exc.messages}
            return exceptions.ValidationError(faults)
        case InUseError():
            return Conflict(str(exc))
        case IntegrityError() if refers_to_nothing(exc):
            return Conflict(
                _("Something that this refers to was deleted meanwhile. Look again and repeat it.")
            )
        case Http404() | ObjectDoesNotExist():
            return exceptions.NotFound()
    return exc


def _by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Field name (nested ones joined by dots) -> its sentences; `detail` holds what belongs to no field."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            whole = name in {NON_FIELD_ERRORS, api_settings.NON_FIELD_ERRORS_KEY}
            below = path if whole else f"{path}.{name}".lstrip(".")
            for field, sentences in _by_field(inner, below).items():
                found.setdefault(field, []).extend(sentences)
        return found
    if isinstance(detail, list) and any(isinstance(item, dict) for item in detail):
        found = {}
        for place, item in enumerate(detail):
            if item:
                found |= _by_field(item, f"{path}.{place}".lstrip("."))
        return found
    sentences = detail if isinstance(detail, list) else [detail]
    return {path or "detail": [str(sentence) for sentence in sentences]}

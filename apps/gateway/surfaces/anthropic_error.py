# SPDX-License-Identifier: Apache-2.0
"""Refusals in Anthropic's error shape (platform.claude.com/docs/en/api/errors), with our `code` and `param` beside."""

import msgspec

from apps.core.outcome import Refuse

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FIRST_SERVER = 500
_encode = msgspec.json.Encoder().encode


def body(refusal: Refuse, request_id: str) -> bytes:
    """The body of an error answer, which is the data of an `error` event as well."""
    status = refusal.status
    kind = _TYPES.get(status, "api_error" if status >= _FIRST_SERVER else "invalid_request_error")
    error = {"type": kind, "message": refusal.message, "code": refusal.code, "param": refusal.param}
    return _encode({"type": "error", "error": error, "request_id": request_id})

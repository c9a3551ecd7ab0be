# SPDX-License-Identifier: Apache-2.0
"""Refusals in Google's error shape (google.rpc.Status as JSON), with our code as the reason of its `ErrorInfo`."""

from typing import Any

import msgspec

from apps.core.outcome import Refuse

_STATUSES = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}
_FIRST_SERVER = 500
_RPC = "type.googleapis.com/google.rpc."
_encode = msgspec.json.Encoder().encode


def body(refusal: Refuse, request_id: str) -> bytes:
    """The body of an error answer, which is the data of a stream's last event as well."""
    status = refusal.status
    name = _STATUSES.get(status, "UNAVAILABLE" if status >= _FIRST_SERVER else "INVALID_ARGUMENT")
    details: list[dict[str, Any]] = [
        {
            "@type": f"{_RPC}ErrorInfo",
            "reason": refusal.code.upper(),
            "domain": "smartflow",
            "metadata": {"param": refusal.param} if refusal.param else {},
        },
        {"@type": f"{_RPC}RequestInfo", "requestId": request_id},
    ]
    wait = next((value for header, value in refusal.headers if header.lower() == "retry-after"), "")
    if wait.isdigit():
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{wait}s"})
    error = {"code": status, "message": refusal.message, "status": name, "details": details}
    return _encode({"error": error})

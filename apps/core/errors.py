# SPDX-License-Identifier: Apache-2.0
"""Every refusal of the data plane, once: its code, status, type, and what the reader can do about it."""

from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the error table; `kind` is OpenAI's `error.type`."""

    status: int
    kind: str
    meaning: str
    remedy: str


_BAD, _AUTH, _PERM = "invalid_request_error", "authentication_error", "permission_error"
_RATE, _SERVER = "rate_limit_error", "server_error"
TABLE: dict[str, Row] = {
    "invalid_json": Row(400, _BAD, "The body is not JSON.", "Send one JSON object in UTF-8."),
    "invalid_request": Row(400, _BAD, "A field is missing, of the wrong type or out of range.", "Correct the field named in `param`."),
    "unsupported_field": Row(400, _BAD, "The provider's dialect has no word for a field of the request.", "Leave the field out, or send `x-smartflow-drop-params: true`."),
    "invalid_header": Row(400, _BAD, "A request header has a value that cannot be used.", "Correct the header named in `param`."),
    "missing_api_key": Row(401, _AUTH, "No credential was sent.", "Send `Authorization: Bearer sk-sf-…`."),
    "invalid_api_key": Row(401, _AUTH, "The credential is not a key of this system.", "Check the key, or ask for one under Request a key."),
    "expired_api_key": Row(401, _AUTH, "The key has ended.", "Its owner can rotate it under My access."),
    "disabled_api_key": Row(401, _AUTH, "The key was switched off.", "Ask the key's owner or an administrator."),
    "conflicting_credentials": Row(401, _AUTH, "Two headers carry different credentials.", "Send one credential."),
    "model_not_allowed": Row(403, _PERM, "The key may not use this model.", "Choose one of `GET /v1/models`, or ask for access."),
    "override_not_allowed": Row(403, _PERM, "The key may not choose the model or provider by itself.", "Leave out the routing header, or the provider before the model's name."),
    "passthrough_not_allowed": Row(403, _PERM, "The key may not pass through to this path.", "Use a path that the key lists, or ask for access."),
    "price_missing": Row(403, _PERM, "The provider has no price per passed request, and a hard budget applies.", "Have the price set on the provider, or use a key without a hard budget."),
    "policy_blocked": Row(403, _PERM, "A policy stopped the request or the answer.", "Remove what the policy names, or ask compliance for an exception."),
    "approval_pending": Row(403, _PERM, "The request waits for an approver.", "Send the identical request again once it is approved."),
    "not_found": Row(404, _BAD, "There is nothing at this path.", "See the list of endpoints in the reference."),
    "model_not_found": Row(404, _BAD, "No model of this name is set up.", "Choose one of `GET /v1/models`."),
    "method_not_allowed": Row(405, _BAD, "The path does not answer to this method.", "Use the method in the `allow` header."),
    "request_timeout": Row(408, _BAD, "The body did not arrive in time.", "Send the request again."),
    "body_too_large": Row(413, _BAD, "The body is larger than this gateway accepts.", "Send less, or have SMARTFLOW_MAX_BODY_BYTES raised."),
    "unsupported_media_type": Row(415, _BAD, "The body is not `application/json`.", "Send `content-type: application/json` without a content encoding."),
    "unscannable_body": Row(415, _BAD, "A policy has to read the body, and it is neither JSON nor text.", "Send JSON in UTF-8, or use a key to which no such policy applies."),
    "headers_too_large": Row(431, _BAD, "The request head is larger than 32 KB.", "Send fewer or shorter headers."),
    "rate_limit_exceeded": Row(429, _RATE, "A limit of requests per minute is used up.", "Wait for `retry-after` seconds."),
    "budget_exceeded": Row(429, "insufficient_quota", "A budget does not cover this request.", "Wait for the reset, or have the budget raised."),
    "flooded": Row(429, _RATE, "This key sends more at once than one process accepts.", "Slow down; wait for `retry-after` seconds."),
    "too_many_requests": Row(503, _SERVER, "This process already serves as many requests as it can hold.", "Send the request again after `retry-after` seconds."),
    "client_closed": Row(499, _BAD, "The client left before the answer was complete.", "Nothing: what was produced is recorded and charged."),
    "internal_error": Row(500, _SERVER, "A fault of this gateway.", "Report the `x-request-id` to the people who run it."),
    "upstream_error": Row(502, _SERVER, "No target gave a usable answer.", "Send the request again; the record names each attempt."),
    "upstream_rejected": Row(400, _BAD, "The provider refused the request.", "Correct what the provider's message names."),
    "upstream_timeout": Row(504, _SERVER, "No target answered in time.", "Send the request again, or allow more time with `x-smartflow-timeout-ms`."),
    "no_target": Row(503, _SERVER, "The model has no target that may be used now.", "Ask the platform team; targets may be drained."),
    "admission_unavailable": Row(503, _SERVER, "Budgets cannot be checked at the moment.", "Send the request again after `retry-after` seconds."),
    "policy_unavailable": Row(503, _SERVER, "A policy could not be checked, and it fails closed.", "Send the request again; tell compliance if it persists."),
    "record_unavailable": Row(503, _SERVER, "The record of this request cannot be written.", "Send the request again after `retry-after` seconds."),
    "snapshot_unavailable": Row(503, _SERVER, "This process has no usable configuration yet, or it is too old.", "Send the request again after `retry-after` seconds."),
    "draining": Row(503, _SERVER, "This process is about to stop.", "Send the request again: another process takes it."),
}  # fmt: skip

_encode = msgspec.json.Encoder().encode


def openai_body(code: str, message: str, param: str | None = None) -> bytes:
    """OpenAI's error shape (platform.openai.com/docs/guides/error-codes)."""
    return _encode({"error": {"message": message, "type": TABLE[code].kind, "param": param, "code": code}})


def problem(status: int, title: str, detail: str, **more: Any) -> dict[str, Any]:
    """Problem details of the control API (RFC 9457)."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


def reference() -> str:
    """The error table as Markdown, in the order of the statuses."""
    lines = ["| status | code | type | what happened | what to do |", "|---|---|---|---|---|"]
    for code, row in sorted(TABLE.items(), key=lambda item: item[1].status):
        lines.append(f"| {row.status} | `{code}` | `{row.kind}` | {row.meaning} | {row.remedy} |")
    return "\n".join(lines)

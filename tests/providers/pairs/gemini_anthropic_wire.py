# SPDX-License-Identifier: Apache-2.0
"""Requests of Gemini clients for tests of the pair with Anthropic, and what holds the results against its rules."""

import json
from typing import Any

from apps.providers.dialects import signatures
from apps.providers.pairs.pair import Ask
from tests.upstreams import anthropic_rules, plan
from tests.upstreams.wire import Request

Body = dict[str, Any]
NEWEST, ADAPTIVE, BUDGET, THOUGHTLESS = (
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-5",
    "claude-3-5-haiku-20241022",
)
PNG = "iVBORw0KGgo="
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": plan.SIGNATURE}
SIGNED = signatures.from_anthropic([THINKING])


def ask(model: str = ADAPTIVE, **more: Any) -> Ask:
    return Ask(model="public", upstream_model=model, request_id="req-1", **more)


def given(*parts: Any, **more: Any) -> Body:
    return {"contents": [{"role": "user", "parts": list(parts) or [{"text": "Hello"}]}], **more}


def admitted(body: Body, path: str = "/v1/messages") -> None:
    """Fails where Anthropic would not take the body."""
    headers = {"x-api-key": "key", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    anthropic_rules.admit(Request("POST", path, {}, headers, json.dumps(body).encode()))


def declared(*names: str, **more: Any) -> list[Body]:
    schema = {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}}
    return [{"functionDeclarations": [{"name": name, "parameters": schema, **more} for name in names]}]


def called(role: str, part: Body) -> Body:
    return {"contents": [{"role": role, "parts": [part]}]}

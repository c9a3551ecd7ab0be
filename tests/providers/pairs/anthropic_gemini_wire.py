# SPDX-License-Identifier: Apache-2.0
"""Requests of Anthropic clients for tests of the pair with Gemini, and what holds the results against Gemini's rules."""

import json
from typing import Any

from apps.providers.pairs.pair import Ask
from tests.upstreams import gemini_rules
from tests.upstreams.wire import Request

Body = dict[str, Any]
NEW, OLD = "gemini-3.1-pro", "gemini-2.5-flash"
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def ask(model: str = NEW, **more: Any) -> Ask:
    return Ask(model="public", upstream_model=model, request_id="req-1", **more)


def given(content: Any = "Hello", **more: Any) -> Body:
    return {"model": "public", "max_tokens": 500, "messages": [{"role": "user", "content": content}], **more}


def admitted(body: Body, model: str, method: str = "generateContent") -> None:
    """Fails where Gemini would not take the body."""
    path = f"/v1beta/models/{model}:{method}"
    headers = {"x-goog-api-key": "key", "content-type": "application/json"}
    gemini_rules.admit(Request("POST", path, {}, headers, json.dumps(body).encode()))


def tool(name: str = "weather", **more: Any) -> Body:
    return {
        "name": name,
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        **more,
    }


def message(*blocks: Body, role: str = "user") -> Body:
    return {"messages": [{"role": role, "content": list(blocks)}, {"role": "user", "content": "And?"}]}

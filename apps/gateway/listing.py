# SPDX-License-Identifier: Apache-2.0
"""The models a key may use, the default one first, in the shape the asking client reads."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from apps.gateway.exchange import Exchange
from apps.providers.domain import CHAT, EMBEDDING, Model

_METHODS = {CHAT: ("generateContent", "countTokens"), EMBEDDING: ("embedContent", "batchEmbedContents")}
_encode = msgspec.json.Encoder().encode


def body(exchange: Exchange, headers: Mapping[bytes, bytes]) -> bytes:
    """The list as JSON: Google's under its own path, Anthropic's for those who say their version, else OpenAI's."""
    caller, view = exchange.caller, exchange.view
    assert caller is not None and view is not None  # noqa: S101, PT018 - identify came first
    models = view.allowed(caller.key.models)
    if exchange.surface.name == "gemini" or b"x-goog-api-key" in headers:
        return _encode({"models": [_google(model) for model in models]})
    if b"anthropic-version" in headers:
        # Its clients take every name in the list for one they can talk to.
        models = [model for model in models if model.kind == CHAT]
        first, last = (models[0].name, models[-1].name) if models else (None, None)
        rows = [_anthropic(model) for model in models]
        return _encode({"data": rows, "has_more": False, "first_id": first, "last_id": last})
    return _encode({"object": "list", "data": [_openai(model) for model in models]})


def _openai(model: Model) -> dict[str, Any]:
    created = model.created_ms // 1000
    return {"id": model.name, "object": "model", "created": created, "owned_by": "smartflow"}


def _anthropic(model: Model) -> dict[str, Any]:
    created = datetime.fromtimestamp(model.created_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": model.name, "display_name": model.name, "created_at": created}


def _google(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.name}",
        "displayName": model.name,
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.output_cap,
        "supportedGenerationMethods": list(_METHODS.get(model.kind, ())),
    }

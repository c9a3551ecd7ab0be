# SPDX-License-Identifier: Apache-2.0
"""Which address of the data plane is what: the call, the dialect it is spoken in, and what the path itself says."""

from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from apps.core.outcome import Refuse
from apps.gateway.surfaces import TABLE, completions, counting
from apps.gateway.surfaces.embeddings import GEMINI_BATCH, GEMINI_SINGLE, OPENAI
from apps.gateway.surfaces.surface import Surface

CHAT, COUNT, EMBEDDING, MODELS, PASSING = "chat", "count", "embedding", "models", "passing"
PASSTHROUGH = "/v1/passthrough/"


class Place(msgspec.Struct, frozen=True):
    """One address: `model` and `stream` where the path says them; `method` is the one it answers to, empty for several."""

    call: str
    surface: Surface
    method: str = "POST"
    model: str = ""
    stream: bool = False


_OPENAI, _ANTHROPIC, _GEMINI = TABLE["openai"], TABLE["anthropic"], TABLE["gemini"]
_FIXED = {
    "/v1/chat/completions": Place(CHAT, _OPENAI),
    "/v1/completions": Place(CHAT, completions.SURFACE),
    "/v1/embeddings": Place(EMBEDDING, OPENAI),
    "/v1/messages": Place(CHAT, _ANTHROPIC),
    "/v1/messages/count_tokens": Place(COUNT, counting.ANTHROPIC),
    "/v1/models": Place(MODELS, _OPENAI, "GET"),
    "/v1beta/models": Place(MODELS, _GEMINI, "GET"),
}
_PASSING = Place(PASSING, _OPENAI, "")
# What a path of Google's says behind its colon.
_GEMINI_CALLS = {
    "generateContent": Place(CHAT, _GEMINI),
    "streamGenerateContent": Place(CHAT, _GEMINI, stream=True),
    "countTokens": Place(COUNT, counting.GEMINI),
    "embedContent": Place(EMBEDDING, GEMINI_SINGLE),
    "batchEmbedContents": Place(EMBEDDING, GEMINI_BATCH),
}
ENDPOINTS = (
    *_FIXED,
    *(f"/v1beta/models/{{model}}:{call}" for call in _GEMINI_CALLS),
    f"{PASSTHROUGH}{{provider}}/{{path}}",
)


def find(path: str) -> Place | Refuse:
    """The place of a path; a refusal that lists the endpoints where there is none."""
    place = _FIXED.get(path)
    if place is not None:
        return place
    for prefix in ("/v1beta/models/", "/v1/models/"):
        if path.startswith(prefix):
            name, colon, call = path[len(prefix) :].rpartition(":")
            if colon and name and call in _GEMINI_CALLS:
                return replace(_GEMINI_CALLS[call], model=unquote(name))
    if path.startswith(PASSTHROUGH):
        return _PASSING
    shown = "".join(char if " " <= char <= "~" else "?" for char in path)[:120]
    return Refuse("not_found", f"There is no endpoint {shown}. Endpoints: {', '.join(ENDPOINTS)}.")


def guessed(path: str) -> Surface:
    """The dialect in which whoever asks for a path that does not exist most likely reads errors."""
    if path.startswith("/v1beta/") or (path.startswith("/v1/models/") and ":" in path):
        return _GEMINI
    return _ANTHROPIC if path.startswith("/v1/messages") else _OPENAI

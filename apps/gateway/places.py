# SPDX-License-Identifier: Apache-2.0
"""Which address of the data plane is what: the call, the dialect it is spoken in, and what the path itself says."""

from urllib.parse import unquote

import msgspec

from apps.core.outcome import Refuse
from apps.gateway.surfaces import TABLE
from apps.gateway.surfaces.surface import Surface

CHAT, MODELS, PASSING = "chat", "models", "passing"
PASSTHROUGH = "/v1/passthrough/"
_GEMINI_CALLS = {"generateContent": False, "streamGenerateContent": True}


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
    "/v1/messages": Place(CHAT, _ANTHROPIC),
    "/v1/models": Place(MODELS, _OPENAI, "GET"),
    "/v1beta/models": Place(MODELS, _GEMINI, "GET"),
}
_PASSING = Place(PASSING, _OPENAI, "")
ENDPOINTS = (
    *_FIXED,
    "/v1beta/models/{model}:generateContent",
    "/v1beta/models/{model}:streamGenerateContent",
    "/v1/passthrough/{provider}/{path}",
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
                return Place(CHAT, _GEMINI, model=unquote(name), stream=_GEMINI_CALLS[call])
    if path.startswith(PASSTHROUGH):
        return _PASSING
    shown = "".join(char if " " <= char <= "~" else "?" for char in path)[:120]
    return Refuse("not_found", f"There is no endpoint {shown}. Endpoints: {', '.join(ENDPOINTS)}.")


def surface_of(path: str) -> Surface:
    """The dialect in which whoever asks for a path expects errors, whether the path exists or not."""
    place = find(path)
    if isinstance(place, Place):
        return place.surface
    if path.startswith("/v1beta/") or (path.startswith("/v1/models/") and ":" in path):
        return _GEMINI
    return _ANTHROPIC if path.startswith("/v1/messages") else _OPENAI

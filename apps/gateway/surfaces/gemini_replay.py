# SPDX-License-Identifier: Apache-2.0
"""A whole generateContent answer told as the stream it could have come in."""

from apps.gateway.surfaces.gemini_texts import parts_of
from apps.gateway.surfaces.surface import Object

_SAID_LATER = frozenset({"candidates", "usageMetadata", "smartflow"})


def events_of(answer: Object) -> list[Object]:
    """The parts of each candidate in a chunk of their own, then the ends of all with the figures."""
    if not answer.get("candidates"):
        return [answer]
    head = {name: value for name, value in answer.items() if name not in _SAID_LATER}
    later = {name: answer[name] for name in ("usageMetadata", "smartflow") if name in answer}
    chunks: list[Object] = []
    ends: list[Object] = []
    for number, candidate in enumerate(answer["candidates"]):
        end = {"index": number, "finishReason": "STOP", **candidate}
        if parts_of(candidate):
            told = {"content": candidate["content"], "index": end["index"]}
            chunks.append({"candidates": [told], **head})
            end["content"] = {**candidate["content"], "parts": [{"text": ""}]}
        ends.append(end)
    return [*chunks, {"candidates": ends, **later, **head}]

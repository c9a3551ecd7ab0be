# SPDX-License-Identifier: Apache-2.0
"""The texts of generateContent: how policies see contents and parts of a request and of an answer.

Arguments of a function call are shown as JSON text, so that their names are read too. Texts of one kind that follow one
another are one text, as clients put them together. A signature of Gemini's own says nothing to anybody else and is not
bound to the text beside it, so it stays; one that carries another provider's thinking is read, and goes where that
would have to be rewritten.
"""

from typing import Any

from apps.gateway.surfaces.reading import Shadow, collect, collect_member, is_media, without
from apps.gateway.surfaces.surface import Object
from apps.gateway.texts import Slot
from apps.providers.dialects.anthropic_blocks import arguments, input_or_broken
from apps.providers.dialects.gemini_parts import NO_SIGNATURE, camel_name
from apps.providers.dialects.signatures import to_anthropic

_TURNS = {"model": "assistant", "function": "tool"}
_CALLS = ("functionCall", "function_call")
_RESPONSES = ("functionResponse", "function_response")
_DATA = ("inlineData", "inline_data")
_SIGNATURE = "thoughtSignature"


def of_request(fields: Object) -> list[Slot]:
    """All texts of a request."""
    found: list[Slot] = []
    for name in fields:
        role = {"contents": "user", "systemInstruction": "system"}.get(camel_name(name), "document")
        if name != "model":
            collect_member(fields, name, role, found, view)
    return found


def of_answer(answer: Object) -> list[Any]:
    """What policies review of a whole answer."""
    found: list[Any] = [without(answer, {"candidates", "usageMetadata"})]
    for candidate in answer.get("candidates") or ():
        parts = parts_of(candidate)
        if parts is None:
            found.append(candidate)
            continue
        found += [
            without(candidate, {"content"}),
            without(candidate["content"], {"parts"}),
            *_of_parts(parts),
        ]
    return found


def parts_of(candidate: Object) -> list[Object] | None:
    """The parts of a candidate; None where it has none that are objects."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return parts if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) else None


def view(part: Object, role: str) -> tuple[Object, str]:
    """A content or part as policies see it, and the role of its texts."""
    if "parts" in part and role == "user":
        return part, _TURNS.get(str(part.get("role")), role)
    if part.get("thought") is True:
        role = "reasoning"
    for name in _RESPONSES:
        if name in part:
            return part, "tool"
    shown = {name: _call(part[name]) for name in _CALLS if isinstance(part.get(name), dict)}
    shown |= {name: _data(part[name]) for name in _DATA if isinstance(part.get(name), dict)}
    return (Shadow({**part, **shown}, part.__setitem__) if shown else part), role


def beside(part: Object) -> list[Any]:
    """What policies see of a part beside its text."""
    carried = _carried(part)

    def put(place: str, text: Any) -> None:
        if place == _SIGNATURE:
            _unsign(part)
        else:
            part[place] = text

    left_out = {_SIGNATURE} if carried else set()
    if isinstance(part.get("text"), str):
        left_out.add("text")
    shown = {name: value for name, value in view(part, "assistant")[0].items() if name not in left_out}
    return [Shadow(shown, put), *carried] if shown else carried


def _of_parts(parts: list[Object]) -> list[Any]:
    found: list[Any] = []
    run: list[Object] = []
    for part in parts:
        is_text = isinstance(part.get("text"), str)
        if run and (not is_text or _thought(part) != _thought(run[0])):
            found.append(_text(run))
            run = []
        if is_text:
            run.append(part)
        found += beside(part)
    return [*found, _text(run)] if run else found


def _text(run: list[Object]) -> Shadow:
    """Texts that follow one another as one; rewritten, it stands in the first part."""

    def put(place: str, text: str) -> None:
        for number, part in enumerate(run):
            part["text"] = "" if number else text

    name = "reasoning_content" if _thought(run[0]) else "text"
    return Shadow({name: "".join([part["text"] for part in run])}, put)


def _thought(part: Object) -> bool:
    return part.get("thought") is True


def _call(call: Object) -> Object:
    given = call.get("args")
    if not isinstance(given, dict) or not given or "arguments" in call:
        return call
    # For its depth alone.
    collect(given, "tool_call", [], lambda value, role: (value, role))

    def put(place: str, text: str) -> None:
        if place == "arguments":
            call["args"] = input_or_broken(text)
        else:
            call[place] = text

    shown = {name: value for name, value in call.items() if name != "args"}
    return Shadow({**shown, "arguments": arguments(given)}, put)


def _data(blob: Object) -> Object:
    media_type = blob.get("mimeType") or blob.get("mime_type")
    return without(blob, {"data"}) if is_media(media_type, blob.get("data")) else blob


def _carried(part: Object) -> list[Any]:
    """Another provider's thinking in the signature of a part."""
    signature = part.get(_SIGNATURE)
    try:
        blocks = to_anthropic(signature) if isinstance(signature, str) else None
    except ValueError:
        return []
    texts = [block["thinking"] for block in blocks or () if block.get("thinking")]
    return [Shadow({"reasoning_content": text}, lambda place, text: _unsign(part)) for text in texts]


def _unsign(part: Object) -> None:
    if any(name in part for name in _CALLS):
        part[_SIGNATURE] = NO_SIGNATURE
    else:
        part.pop(_SIGNATURE, None)

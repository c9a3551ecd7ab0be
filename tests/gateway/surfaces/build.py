# SPDX-License-Identifier: Apache-2.0
"""Streams of both dialects and reviews over them, as several tests use them."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

from apps.core.outcome import Refuse
from apps.gateway.surfaces.surface import ChatRequest, Surface
from apps.gateway.texts import Slot, collect, put_back
from apps.policies.domain import Action, Facts, Policy
from apps.policies.engine import Bundle
from apps.policies.stream import StreamReview
from tests.policies.build import CARDS, dummy, policy

Object = dict[str, Any]
CARD = "4111 1111 1111 1111"
DIGITS = CARD.replace(" ", "")
SECRET = "banana split"
MASK = [policy("Mask", CARDS, dummy(SECRET), action=Action.REDACT)]
STOP = [policy("Stop", CARDS, dummy(SECRET), action=Action.BLOCK)]


def review(policies: list[Policy]) -> StreamReview:
    """A fresh review of a stream."""
    found = Bundle.of(policies).stream(Facts())
    assert found is not None
    return found


def copied(value: Any) -> Any:
    """The same JSON, shared with nobody."""
    return json.loads(json.dumps(value))


def passed(surface: Surface, policies: list[Policy], events: Iterable[Object]) -> list[Object]:
    """What a client gets of a stream under policies, to its end."""
    held = surface.held(review(policies))
    out: list[Object] = []
    for event in copied(list(events)):
        out += held.pass_on(event)
        if held.blocked is not None:
            return out + held.filtered(held.blocked)
    return out


def whole_of(surface: Surface, events: Iterable[Object]) -> Object:
    """What a stream amounts to."""
    tape = surface.tape(keep=True)
    for event in events:
        tape.take(event)
    found: Object = json.loads(tape.whole())
    return found


def reviewed(surface: Surface, policies: list[Policy], answer: Object) -> Object:
    """A whole answer as it leaves under policies that redact."""
    answer = copied(answer)
    slots: list[Slot] = []
    for value in surface.texts(answer):
        collect(value, "assistant", slots)
    verdict = Bundle.of(policies).review(Facts(), slots)
    if verdict.texts is not None:
        put_back(slots, verdict.texts)
        surface.scrub(answer)
    return answer


def cut(text: str, places: Iterable[int]) -> list[str]:
    """A text in pieces."""
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges) if a < b]


def asked(surface: Surface, fields: Any, **more: Any) -> ChatRequest:
    """A request that is one."""
    found = parse(surface, fields, **more)
    assert isinstance(found, ChatRequest), found
    return found


def refused(surface: Surface, fields: Any) -> Refuse:
    """Why a request is none."""
    found = parse(surface, fields)
    assert isinstance(found, Refuse), found
    return found


def parse(surface: Surface, fields: Any, model: str = "m", *, stream: bool = False) -> ChatRequest | Refuse:
    """What a surface makes of a body."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return surface.parse(body, model, stream=stream)


def roles(request: ChatRequest) -> dict[str, str]:
    """The role of each text."""
    return {slot.text: slot.role for slot in request.slots}


def says(value: Any, *forbidden: str) -> list[str]:
    """Which of some texts stand in a JSON value, also with blanks and breaks between their parts."""
    text = json.dumps(value, ensure_ascii=False)
    return [word for word in forbidden if word in text]

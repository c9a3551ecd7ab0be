# SPDX-License-Identifier: Apache-2.0
"""The requests of the bench and what a right answer to them is; wrong answers fail a run."""

from dataclasses import dataclass
from typing import Any

import msgspec

from apps.core import sse
from tests.upstreams.plan import padded
from tests.upstreams.script import GREETING

JSON_TEXT_BYTES = 800
EVENTS = 48
GAP_MS = 20
_COUNTER = b"#0000000000000"
_FILLER = "Please read this note about the weekly figures and say what follows from it in one sentence. "
_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of traffic: the model that makes the upstream behave so, and the text that must come back."""

    name: str
    model: str
    text: str
    stream: bool
    directive: str = ""


JSON = Shape(
    name="json",
    model=f"size={JSON_TEXT_BYTES}",
    text=padded(GREETING, JSON_TEXT_BYTES),
    stream=False,
)
SSE = Shape(
    name="sse",
    model=f"events={EVENTS};gap={GAP_MS}",
    text="".join(f"word{number} " for number in range(EVENTS)),
    stream=True,
)
SHAPES = {shape.name: shape for shape in (JSON, SSE)}
# A stream whose events come at once: for many of them, not for figures.
BURST = Shape("burst", SSE.model, SSE.text, stream=True, directive="[[gap=0]] ")
ALL = {**SHAPES, BURST.name: BURST}


class WrongAnswerError(Exception):
    """An answer that is not the one that was sent."""


def body(shape: Shape, model: str, prompt_bytes: int = 900) -> bytes:
    """A request with a prompt of the given size; `numbered` makes each one different, so that no cache answers."""
    prompt = (_FILLER * (prompt_bytes // len(_FILLER) + 1))[:prompt_bytes]
    value: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer briefly."},
            {"role": "user", "content": f"{shape.directive}{_COUNTER.decode()} {prompt}"},
        ],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if shape.stream:
        value |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(value)


def numbered(template: bytes, number: int) -> bytes:
    """The request with its number in it; its length stays the same."""
    return template.replace(_COUNTER, b"#%013d" % number, 1)


def check_json(raw: bytes, shape: Shape) -> None:
    """Refuse a JSON answer whose text is not the expected one."""
    try:
        text = _decode(raw)["choices"][0]["message"]["content"]
    except (msgspec.MsgspecError, LookupError, TypeError) as fault:
        raise WrongAnswerError(f"{fault!r}: {raw[:200]!r}") from None
    if text != shape.text:
        raise WrongAnswerError(f"the text is wrong: {text[:100]!r}")


def check_stream(raw: bytes, shape: Shape) -> int:
    """The number of events of a whole stream; refuses one that is not complete and in order."""
    splitter = sse.Splitter()
    found = [data for _, data in splitter.feed(raw) if data]
    if not found or found[-1] != sse.DONE:
        raise WrongAnswerError(f"the stream does not end in [DONE]: {raw[-200:]!r}")
    try:
        chunks = [_decode(data) for data in found[:-1]]
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    except (msgspec.MsgspecError, LookupError, TypeError) as fault:
        raise WrongAnswerError(repr(fault)) from None
    if text != shape.text:
        raise WrongAnswerError(f"the text is wrong: {text[:100]!r}")
    return len(found)

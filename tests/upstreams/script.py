# SPDX-License-Identifier: Apache-2.0
"""How an upstream is told to behave: `name=value` pairs in the model's name or in the last user message.

A model called `events=50;gap=20` streams 50 events with 20 ms between them; `[[status=429;retry=7]]` in a
message does the same for one request and wins over the model. A name without `=` is an ordinary model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import unquote

_IN_PROMPT = re.compile(r"\[\[([^\]]*)\]\]")
GREETING = "Hello from the upstream: every word of this sentence arrives."


class ScriptError(ValueError):
    """A directive nobody knows: a test with a misspelt one must not pass by accident."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. Times are milliseconds, sizes bytes; texts are percent-encoded where they are typed."""

    status: int = 200
    retry: str = ""  # the retry-after header
    location: str = ""  # the location header
    text: str = ""  # what is answered; empty: a greeting
    echo: bool = False  # answer the last user message
    mirror: bool = False  # answer the request body as it came
    heads: bool = False  # answer the request's headers as JSON
    size: int = 0  # pad the text to this many bytes
    split: int = 0  # characters per event; 0: one word per event
    events: int = 0  # exactly so many events, one word each
    gap: float = 0  # between events
    first: float = 0  # before the first byte
    last: float = 0  # before the end
    cut: int = -1  # close after so many events, or half-way through a JSON body
    reset: bool = False  # a cut is a reset, not an orderly close
    endless: bool = False  # a stream that never ends
    garbage: bool = False  # a body that is not JSON
    raw: str = ""  # these bytes instead of an HTTP answer, then close
    tools: bool = False  # one tool call instead of text; text again once its result came
    parallel: bool = False  # two tool calls instead of one
    think: bool = False  # thinking before the answer
    redacted: bool = False  # a redacted block after the thinking, where a dialect has it
    refuse: bool = False  # the provider's own form of a refusal
    see: bool = False  # answer which images and documents came
    unknown: bool = False  # fields nobody has heard of
    usage: str = (
        ""  # `none`, or `input,output,cached,written,reasoning`; input has the cached, output the reasoning
    )
    usage_always: bool = False  # a usage chunk though the client did not ask
    chunked: bool = False  # a JSON body without content-length
    close: bool = False  # connection: close, the end of the body is the end of the connection
    crlf: bool = False  # events end with CRLF
    comments: bool = False  # comments between the events
    drip: int = 0  # at most so many bytes per write
    done: bool = True  # whether a stream ends with [DONE]
    fault: str = ""  # an error event in the middle of a stream, which goes on
    broken: int = -1  # after so many events the provider's own error event ends the stream
    finish: str = "stop"  # the reason given at the end, in OpenAI's word
    model: str = ""  # the model named in the answer


_KINDS: Mapping[str, type] = {item.name: type(item.default) for item in fields(Script)}
PLAIN = Script()


def parse(text: str, base: Script = PLAIN) -> Script:
    """The script of `a=1;b;c=2`; a bare name of a switch turns it on. ScriptError for anything unknown."""
    found: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, given, value = part.partition("=")
        kind = _KINDS.get(name)
        if kind is None or (not given and kind is not bool):
            raise ScriptError(f"no such directive: {part}")
        found[name] = (value or "1") not in {"0", "no"} if kind is bool else kind(unquote(value))
    return replace(base, **found)


def script_of(model: str, prompt: str) -> Script:
    """What a request asks for: the model's script, overridden by the one in the prompt."""
    script = parse(model) if "=" in model else PLAIN
    for inside in _IN_PROMPT.findall(prompt):
        script = parse(inside, script)
    return script


def without_script(prompt: str) -> str:
    """The prompt as a person would have typed it."""
    return _IN_PROMPT.sub("", prompt).strip()

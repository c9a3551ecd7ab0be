# SPDX-License-Identifier: Apache-2.0
"""What a client's dialect offers to the gateway: reading a request, telling answers, streams and errors.

Objects are decoded JSON in the published form of the dialect. Whatever a provider said has been put into this form by
`apps.providers.pairs` before it comes here.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from apps.core.outcome import Refuse
from apps.gateway.texts import Slot
from apps.policies.domain import Verdict
from apps.policies.stream import StreamReview

Object = dict[str, Any]
# What records call the ends of answers, whatever a dialect calls them.
STOP, LENGTH, TOOLS, FILTERED = "stop", "length", "tool_calls", "content_filter"


class ChatRequest(msgspec.Struct):
    """One chat request; `fields` is the whole body, `slots` its texts, which point into `fields`."""

    model: str
    fields: Object
    slots: list[Slot]
    stream: bool
    wants_usage: bool
    output_limit: int | None
    choices: int
    size: int


class Tape(Protocol):
    """What has to be known of one stream: fed with each event that leaves, in the client's form."""

    # In the words of records; empty until the answer has ended.
    finish_reason: str
    # Characters of all texts: content, reasoning, arguments.
    chars: int

    def take(self, event: Object) -> bool:
        """Note an event; True for one that ends the stream and has to wait until the record is written."""

    def usage_event(self) -> Object | None:
        """The terminal event that says the usage, where a client gets it only if it asks; None in other dialects."""

    def whole(self) -> bytes:
        """The answer that the events amount to, as JSON; empty where it is not kept or grew past a bound."""


class Held(Protocol):
    """The policies' hold-back over one stream: only what is decided leaves."""

    delivered: int

    @property
    def blocked(self) -> str | None:
        """The reason a policy stopped the stream for."""

    def verdict(self) -> Verdict:
        """What policies found in all of the stream."""

    def pass_on(self, event: Object) -> list[Object]:
        """The events to send for one that came; a text that ends gets what is held for it before its end."""

    def filtered(self, reason: str) -> list[Object]:
        """The events that end a blocked stream, with a reason machines can read."""


class Surface(Protocol):
    """One client dialect; has no state."""

    name: str
    # The kind of models that answer it.
    kind: str
    # What follows the last event of every stream.
    ending: bytes
    # What a silent stream says from time to time; empty where clients of the dialect stumble over anything of that kind.
    keep_alive: bytes

    def parse(self, body: bytes, model: str, *, stream: bool) -> ChatRequest | Refuse:
        """A request, or why it is none, naming the field; model and form come from the path where the dialect says so."""

    def limit_output(self, request: ChatRequest, tokens: int) -> None:
        """Hold the provider to a number of output tokens where the caller gave none."""

    def cacheable(self, fields: Mapping[str, Any], mode: str) -> bool:
        """Whether the exact cache phase may be used: one answer, no tools, not sampled on purpose (see cache.stage)."""

    def delivery(self) -> frozenset[str]:
        """Top-level fields that change how an answer is delivered, not what it says."""

    def texts(self, answer: Object) -> list[Any]:
        """The parts of a whole answer that people and models wrote; rewriting them rewrites the answer."""

    def finish_reason(self, answer: Object) -> str:
        """How a whole answer ended, in the words of records."""

    def scrub(self, answer: Object) -> None:
        """Take out of a rewritten answer what would tell the original."""

    def frame(self, event: Object) -> bytes:
        """The wire form of one event."""

    def tape(self, *, keep: bool) -> Tape:
        """A fresh tape; with `keep` it can give the whole answer."""

    def held(self, review: StreamReview) -> Held:
        """A fresh hold-back."""

    def replay(self, answer: Object) -> list[Object]:
        """A whole answer as the events of a stream."""

    def error(self, refusal: Refuse, request_id: str) -> bytes:
        """The body of an error answer."""

    def error_event(self, refusal: Refuse, request_id: str) -> bytes:
        """What a stream that already began ends with."""

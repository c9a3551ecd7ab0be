# SPDX-License-Identifier: Apache-2.0
"""Questions and what came back, in no dialect: what the official clients are asked, and what they understood."""

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call."""

    name: str
    about: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the client understood it."""

    identity: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage in the client's own terms, field by field; what the dialect cannot say is None."""

    input: int
    output: int
    cached: int = 0
    written: int | None = None
    reasoning: int | None = None


@dataclass(slots=True)
class Seen:
    """One answer. `native` is the assistant's turn in the client's own form, to be sent back in the next request."""

    texts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    stop: str = ""
    usage: Usage | None = None
    thinking: str = ""
    signature: str = ""
    redacted: str = ""
    refusal: str = ""
    native: Any = None

    @property
    def text(self) -> str:
        """The text of the only choice."""
        (only,) = self.texts
        return only


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer that went before, and the results of its calls in order; `failed` marks the last one as an error."""

    question: str
    seen: Seen
    results: tuple[str, ...]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One request; a client leaves out what is not set."""

    prompt: str
    system: str = ""
    tools: tuple[Tool, ...] = ()
    choice: str = ""  # auto, none, required, or a tool's name
    parallel: bool = True
    image: bytes = b""
    schema: dict[str, Any] | None = None
    thinking: bool = False
    n: int = 1
    stops: tuple[str, ...] = ()
    seed: int | None = None
    most: int = 4000
    before: tuple[Turn, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)  # fields of the body as they are


@dataclass(slots=True)
class FailedError(Exception):
    """What the client raised; `before` is the text that came before it."""

    kind: str
    status: int
    message: str
    error_type: str = ""
    param: str = ""
    retry_after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client is pointed."""

    root: str
    key: str
    model: str


class Client(Protocol):
    """An official client."""

    name: str
    version: str
    # The words of its dialect for neutral stops: end, length, tools, refusal.
    stops: dict[str, str]

    def ask(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as JSON, from the synchronous client; FailedError."""

    async def stream(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as a stream, from the asynchronous client; FailedError."""

# SPDX-License-Identifier: Apache-2.0
"""What a translation between two wire dialects offers: one file per (client dialect, provider dialect) pair.

Objects are decoded JSON in the published form of their dialect; a pair does no I/O and never looks at bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Object = dict[str, Any]


class InexpressibleError(ValueError):
    """A field that the provider's dialect cannot say; `param` is its path in the client's own request."""

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"`{param}` {reason}")
        self.param, self.reason = param, reason


class InvalidError(ValueError):
    """A request that is wrong in the client's own dialect; `param` is the field that is."""

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"`{param}` {reason}")
        self.param, self.reason = param, reason


@dataclass(slots=True)
class Ask:
    """What a translation has to know about its exchange.

    `model` is the name the client is told, `created` whole seconds since the epoch, `request_id` what ids are made
    from where the provider gives none. With `drop`, fields that cannot be said are left out and named in `dropped`.
    """

    model: str
    upstream_model: str
    stream: bool = False
    drop: bool = False
    created: int = 0
    request_id: str = ""
    include_usage: bool = False
    output_cap: int = 4096
    dropped: list[str] = field(default_factory=list)

    def cannot(self, param: str, reason: str) -> None:
        """Leave a field out, or raise InexpressibleError where the caller did not ask for that."""
        if not self.drop:
            raise InexpressibleError(param, reason)
        self.dropped.append(param)


class Translation(Protocol):
    """The events of one stream; made anew for each stream."""

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The client's events for one event of the provider; often none, sometimes several."""

    def end(self) -> list[Object]:
        """What the client's dialect still owes after the provider's last event: called once, not after an error."""


class Pair(Protocol):
    """The three translations of a pair. ValueError (KeyError, TypeError never) means "not in this dialect"."""

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The provider's request body; InvalidError or InexpressibleError name the field that stops it."""

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The client's whole answer for the provider's whole answer."""

    def stream(self, ask: Ask) -> Translation:
        """A fresh translation of a stream."""

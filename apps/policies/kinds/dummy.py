# SPDX-License-Identifier: Apache-2.0
"""A detector for tests and drills: finds a literal, raises, or takes its time."""

import time
from dataclasses import dataclass
from typing import Annotated

import msgspec

from apps.policies.kinds.base import Finder
from apps.policies.text import Text

LABEL = "Dummy, for tests"
OFFERED = False


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the dummy does."""

    literal: Annotated[
        str, msgspec.Meta(max_length=200, pattern=r"^[\x20-\x7e]*$", description="Text to find, plain ASCII")
    ] = ""
    fails: Annotated[bool, msgspec.Meta(description="Fail instead of looking")] = False
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=50, description="Milliseconds each look takes")] = 0


class DummyFailedError(Exception):
    """What a dummy raises when told to fail."""


@dataclass(frozen=True, slots=True)
class _Literal:
    literal: bytes
    fails: bool
    delay_ms: int
    type: str = "DUMMY"
    said: str = "a test word"

    @property
    def longest(self) -> int:
        return len(self.literal)

    def find(self, text: Text, start: int = 0) -> list[tuple[int, int]]:
        if self.delay_ms:
            time.sleep(self.delay_ms / 1000)
        if self.fails:
            raise DummyFailedError("the dummy was told to fail")
        found: list[tuple[int, int]] = []
        at = text.data.find(self.literal, start) if self.literal else -1
        while at >= 0:
            found.append((at, at + len(self.literal)))
            at = text.data.find(self.literal, at + len(self.literal))
        return found

    def undecided(self, text: Text) -> int:
        data = text.data
        for at in range(max(0, len(data) - len(self.literal) + 1), len(data)):
            if self.literal.startswith(data[at:]):
                return at
        return len(data)


def compile(params: Params) -> tuple[Finder, ...]:
    """The one finder of a dummy."""
    return (_Literal(params.literal.encode(), params.fails, params.delay_ms),)

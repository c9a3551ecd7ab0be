# SPDX-License-Identifier: Apache-2.0
"""What a detector kind is: a file with a params schema and `compile`, which gives finders."""

from typing import Any, Protocol

import msgspec

from apps.policies.text import Text

# How many characters before a possible match a finder may look at.
LOOK_BEHIND = 64
# More candidates than this in one segment are an attack or not text: the policy counts as not checked.
MOST_CANDIDATES = 50_000


class TooDenseError(Exception):
    """A segment holds more candidates than may be looked at."""


class Finder(Protocol):
    """Finds one type of thing in folded text; hashable, stateless, equal when it finds the same.

    Whether `data[start:]` begins a match depends only on `data[start - LOOK_BEHIND : start + longest]`: that is
    what makes the same text lead to the same findings however it was cut into deltas.
    """

    @property
    def type(self) -> str:
        """The type of its findings, as in `[CREDIT_CARD]`: capitals, digits, underscores."""

    @property
    def said(self) -> str:
        """The finding in plain words for the person who sent it: "a card number"."""

    @property
    def longest(self) -> int:
        """How many characters a match with its look-ahead spans at most."""

    def find(self, text: Text, start: int = 0) -> list[tuple[int, int]]:
        """Matches that begin at or after `start`, leftmost first, not overlapping, as offsets into `text.data`."""

    def undecided(self, text: Text) -> int:
        """The first offset where more text could still make a match begin; the length of the data if none."""


class Kind(Protocol):
    """The module of a detector kind."""

    @property
    def Params(self) -> type[msgspec.Struct]:  # noqa: N802 - a class of the module
        """The schema of the kind's parameters."""

    @property
    def LABEL(self) -> str:  # noqa: N802 - a constant of the module
        """The kind's name in the editor."""

    @property
    def OFFERED(self) -> bool:  # noqa: N802 - a constant of the module
        """Whether the editor offers the kind."""

    def compile(self, params: Any) -> tuple[Finder, ...]:
        """Finders for params that were decoded into `Params`."""

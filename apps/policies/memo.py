# SPDX-License-Identifier: Apache-2.0
"""What detectors found in segments already seen: the next turn of a conversation costs a look-up."""

import sys
from collections import OrderedDict

from apps.policies.kinds.base import Finder

# Per finder the raw spans of its matches.
Seen = dict[Finder, tuple[tuple[int, int], ...]]
_ENTRY_BYTES = 400


class Memo:
    """A bounded map from a segment's text to what was found in it; the longest unused go first.

    The text itself is the key: a shorter key could be made to collide. Belongs to one thread.
    """

    __slots__ = ("_bytes", "_limit", "_seen")

    def __init__(self, limit_bytes: int = 8 * 1024 * 1024) -> None:
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._limit = limit_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def bytes(self) -> int:
        """About how much memory the entries take."""
        return self._bytes

    def of(self, text: str) -> Seen:
        """The findings known of a text; the caller adds to it what it finds."""
        seen = self._seen.get(text)
        if seen is not None:
            self._seen.move_to_end(text)
            return seen
        size = sys.getsizeof(text) + _ENTRY_BYTES
        seen = {}
        if size > self._limit:
            return seen
        self._seen[text] = seen
        self._bytes += size
        while self._bytes > self._limit:
            old, _ = self._seen.popitem(last=False)
            self._bytes -= sys.getsizeof(old) + _ENTRY_BYTES
        return seen

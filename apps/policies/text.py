# SPDX-License-Identifier: Apache-2.0
"""Text as detectors see it: one byte per character, so that look-alike characters hide nothing and offsets stay simple."""

import re
import unicodedata

# What every character without an ASCII likeness becomes; no pattern of ours holds it.
OTHER = "\x80"
_CACHED_MOST = 20_000
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
# Letters by category, but drawn as nothing: Hangul fillers and the braille blank.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_DROPPED = frozenset({"Mn", "Me", "Cf"})
_likeness_cache: dict[str, str] = {}


def likeness(character: str) -> str:
    """The ASCII character a reader takes it for, `OTHER` if there is none, "" if it is not seen at all.

    Full-width forms, accents, digits of other scripts and dashes are folded by Unicode's own tables (NFKD,
    general category, decimal value); combining marks, format characters and blanks vanish.
    """
    known = _likeness_cache.get(character)
    if known is None:
        known = _look_up(character)
        if len(_likeness_cache) < _CACHED_MOST:
            _likeness_cache[character] = known
    return known


def _look_up(character: str) -> str:
    if character in _BLANK or unicodedata.category(character) in _DROPPED:
        return ""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    first = unicodedata.normalize("NFKD", character)[0]
    if first.isascii():
        return first
    category = unicodedata.category(first)
    return "-" if category == "Pd" or first == "\u2212" else " " if category == "Zs" else OTHER


class Text:
    """A text with its folded bytes; `raw_at` leads from an offset in `data` to one in `raw`."""

    __slots__ = ("_starts", "data", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._starts: list[int] | None = None
        if raw.isascii():
            self.data = raw.encode("ascii")
            return
        folded, unseen = raw, False
        for character in set(_NON_ASCII.findall(raw)):
            seen = likeness(character)
            unseen = unseen or not seen
            folded = folded.replace(character, seen)
        self.data = folded.encode("latin-1")
        if unseen:
            self._starts = [i for i, c in enumerate(raw) if c.isascii() or likeness(c)]

    def raw_at(self, offset: int) -> int:
        """Where in `raw` the folded character at an offset begins; the end of `raw` for the end of `data`."""
        if self._starts is None:
            return offset
        return self._starts[offset] if offset < len(self._starts) else len(self.raw)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of `raw` behind a span of `data`, with what is unseen between them but not after them."""
        if self._starts is None:
            return start, end
        return self._starts[start], self._starts[end - 1] + 1

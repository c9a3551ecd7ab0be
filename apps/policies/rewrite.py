# SPDX-License-Identifier: Apache-2.0
"""Copies a text with tags in place of findings; in pieces or at once, the result is the same."""

import re
from collections.abc import Iterable

# Start and end in the raw text, and the type of the finding.
RawSpan = tuple[int, int, str]
_JSON_MARK = re.compile(r'\\(?:u[0-9a-fA-F]{0,4}|[^u])?|"', re.DOTALL)
_NUMBER = "0123456789.eE+-"


class Rewriter:
    """Keeps the place in a text that is copied piece by piece.

    With `json` the text is a JSON document, whole or growing: a tag inside a string leaves the escape before it
    whole, a tag in place of a number becomes a string.
    """

    __slots__ = ("_escape", "_in_number", "_in_string", "_json")

    def __init__(self, json: bool = False) -> None:
        self._json = json
        self._in_string = False
        self._escape = ""  # an escape that has begun: at most \\uXXX
        self._in_number = False  # right behind a number that was replaced

    def copy(self, piece: str) -> str:
        """The next piece, as it is."""
        if not self._json or not piece:
            return piece
        if self._in_number:
            piece = piece.lstrip(_NUMBER)
            self._in_number = not piece
        self._follow(piece)
        return piece

    def replace(self, piece: str, kind: str) -> str:
        """What stands for a piece that was found: `[KIND]`."""
        tag = f"[{kind}]"
        if not self._json:
            return tag
        kept = ""
        if self._escape:
            mark = _JSON_MARK.match(self._escape + piece)
            kept = piece[: mark.end() - len(self._escape)] if mark else ""
            self._escape = ""
        if self._in_string:
            return kept + tag
        self._in_number = True
        return f'{kept}"{tag}"'

    def _follow(self, piece: str) -> None:
        whole = self._escape + piece
        self._escape = ""
        for mark in _JSON_MARK.finditer(whole):
            found = mark[0]
            if found == '"':
                self._in_string = not self._in_string
            elif mark.end() == len(whole) and (found == "\\" or (found[1] == "u" and len(found) < 6)):
                self._escape = found


def redacted(raw: str, spans: Iterable[RawSpan], json: bool = False) -> str:
    """A whole text with every span replaced; where spans overlap each leaves its tag and no character stays."""
    writer = Rewriter(json)
    pieces: list[str] = []
    at = 0
    for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1], span[2])):
        if end <= at:
            continue
        if start > at:
            pieces.append(writer.copy(raw[at:start]))
        pieces.append(writer.replace(raw[max(at, start) : end], kind))
        at = end
    pieces.append(writer.copy(raw[at:]))
    return "".join(pieces)

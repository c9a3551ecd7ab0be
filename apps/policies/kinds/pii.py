# SPDX-License-Identifier: Apache-2.0
"""Personal data: structured identifiers found by RE2 and checked by their own rules (digits, registries)."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
import re2

from apps.policies.kinds.base import MOST_CANDIDATES, Finder, TooDenseError
from apps.policies.text import Text

LABEL = "Personal data"
OFFERED = True


class Entity(StrEnum):
    """What can be looked for; each has a row in `ENTITIES`."""

    CREDIT_CARD = "CREDIT_CARD"
    EMAIL = "EMAIL"


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entities a policy looks for."""

    entities: Annotated[tuple[Entity, ...], msgspec.Meta(min_length=1, description="What to look for")]


def _latin1() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return options


class _Email:
    """Addresses by the practical subset of RFC 5321: up to 64 characters, an @, up to five labels."""

    type: ClassVar[str] = "EMAIL"
    said: ClassVar[str] = "an e-mail address"
    longest: ClassVar[int] = 64 + 1 + 4 * 64 + 24

    _pattern = re2.compile(rb"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}", _latin1())
    _local: ClassVar[bytes] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+'-"

    def find(self, text: Text, start: int = 0) -> list[tuple[int, int]]:
        data = text.data
        if data.find(b"@", start) < 0:
            return []
        found: list[tuple[int, int]] = []
        for match in self._pattern.finditer(data, start):
            found.append(match.span())
            if len(found) > MOST_CANDIDATES:
                raise TooDenseError(self.type)
        return found

    def undecided(self, text: Text) -> int:
        data = text.data
        tail = data[-self.longest :]
        run = tail[len(tail.rstrip(self._local + b"@")) :]
        return len(data) - (len(run) if b"@" in run else min(len(run), 64))


def _iin_table() -> tuple[list[int], list[tuple[int, frozenset[int]]]]:
    """Issuer ranges (ISO/IEC 7812-1) as first and last six digits with the lengths in use."""
    sixteen, long = frozenset({16}), frozenset({16, 17, 18, 19})
    rows = [
        ("180000", "180099", {15}), ("213100", "213199", {15}),  # JCB of 15 digits
        ("220000", "220499", long), ("222100", "272099", sixteen),  # Mir, Mastercard 2-series
        ("300000", "305999", {14, *long}), ("309500", "309599", {14, *long}),  # Diners
        ("340000", "349999", {15}), ("352800", "358999", long),  # American Express, JCB
        ("360000", "369999", {14, *long}), ("370000", "379999", {15}),  # Diners, American Express
        ("380000", "399999", {14, *long}), ("400000", "499999", {16, 19}),  # Diners, Visa
        ("501800", "501899", {*long}), ("502000", "502099", {*long}),  # Maestro
        ("503800", "503899", {*long}), ("510000", "559999", sixteen),  # Maestro, Mastercard
        ("589300", "589399", {*long}), ("601100", "601199", {16, 19}),  # Maestro, Discover
        ("620000", "629999", long), ("630400", "630499", {*long}),  # UnionPay, Maestro
        ("644000", "659999", {16, 19}), ("675900", "676399", {*long}),  # Discover, Maestro
        ("810000", "817199", long), ("979200", "979299", sixteen),  # UnionPay, Troy
    ]  # fmt: skip
    return [int(low) for low, _, _ in rows], [(int(high), frozenset(lengths)) for _, high, lengths in rows]


class _CreditCard:
    """Card numbers of 14 to 19 digits whose issuer range, length and check digit (Luhn, ISO/IEC 7812-1) agree.

    Digits may be parted by up to two spaces, dots or hyphens. Next to other numbers only the groupings printed on
    cards count; a number that stands alone counts however it is parted.
    """

    type: ClassVar[str] = "CREDIT_CARD"
    said: ClassVar[str] = "a card number"
    # 19 digits, two separators between each, and three characters to see that the number ends.
    longest: ClassVar[int] = 19 + 18 * 2 + 3

    _run = re2.compile(rb"[0-9](?:[ .-]{0,2}[0-9]){13,}", _latin1())
    # Only run over what `_run` found; every repetition is bounded.
    _forms: ClassVar[tuple[re.Pattern[bytes], ...]] = tuple(
        re.compile(rb"(?<![0-9])" + form)
        for form in (
            rb"(?<![0-9][ .-])(?<![0-9][ .-][ .-])[0-9](?:[ .-]{0,2}[0-9]){13,18}(?![ .-]{0,2}[0-9])",
            rb"[0-9]{14,19}(?![0-9])",
            rb"[0-9]{4}(?:[ .-]{1,2}[0-9]{4}){3}[ .-]{1,2}[0-9]{3}(?![0-9])",
            rb"[0-9]{4}(?:[ .-]{1,2}[0-9]{4}){3}(?![0-9])",
            rb"[0-9]{4}[ .-]{1,2}[0-9]{6}[ .-]{1,2}[0-9]{4,5}(?![0-9])",
            rb"[0-9]{8}[ .-]{1,2}[0-9]{8}(?![0-9])",
        )
    )
    _any_form = re.compile(b"|".join(b"(?:" + form.pattern + b")" for form in _forms))
    _iban_head = re.compile(rb"(?:^|[^0-9A-Za-z])([A-Z]{2}[0-9]{2} ?(?:[0-9A-Z]{1,4} ){0,8})$")
    _iban_rest = re.compile(rb"[0-9]{1,30}(?: [0-9]{1,4}){0,8}(?![0-9A-Za-z])")
    # Digits become 0, all else x, separators go: a candidate is a row of 14 zeros.
    _shape: ClassVar[bytes] = bytes(48 if 48 <= byte <= 57 else 120 for byte in range(256))
    _enough: ClassVar[bytes] = b"0" * 14
    _within: ClassVar[bytes] = b"0123456789 .-"
    _doubled: ClassVar[bytes] = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
    _lows, _ranges = _iin_table()

    def find(self, text: Text, start: int = 0) -> list[tuple[int, int]]:
        data = text.data
        # Three times cheaper than the pattern, and on most texts all that is needed.
        if self._enough not in data.translate(self._shape, b" .-"):
            return []
        found: list[tuple[int, int]] = []
        candidates, at = 0, start
        while (run := self._run.search(data, at)) is not None:
            at, end = run.span()
            while (candidate := self._any_form.search(data, at, end)) is not None:
                candidates += 1
                if candidates > MOST_CANDIDATES:
                    raise TooDenseError(self.type)
                at = candidate.start()
                stop = self._card_at(data, at, end)
                if stop:
                    found.append((at, stop))
                at = stop or at + 1
            at = end
        return found

    def undecided(self, text: Text) -> int:
        data = text.data
        tail = data[-self.longest :]
        run = tail[len(tail.rstrip(self._within)) :]
        return len(data) - len(run.lstrip(b" .-"))

    def _card_at(self, data: bytes, start: int, run_end: int) -> int:
        """The end of the card number that begins at `start`, 0 if none does."""
        issuer = int(data[start : start + 16].translate(None, b" .-")[:6])
        row = bisect_right(self._lows, issuer) - 1
        if row < 0 or issuer > self._ranges[row][0]:
            return 0
        lengths = self._ranges[row][1]
        for form in self._forms:
            match = form.match(data, start, run_end)
            if match is None:
                continue
            digits = match[0].translate(None, b" .-")
            if len(digits) in lengths and self._luhn(digits):
                end = match.end()
                inside_word = data[start - 1 : start].isalpha() and data[end : end + 1].isalpha()
                if not inside_word and not self._in_iban(data, start):
                    return end
        return 0

    def _in_iban(self, data: bytes, start: int) -> bool:
        """Whether the digits belong to a bank account number (ISO 13616) whose own check digits agree."""
        head = self._iban_head.search(data[max(0, start - 48) : start])
        rest = self._iban_rest.match(data[start : start + self.longest - 3])
        if head is None or rest is None:
            return False
        number = (head[1] + rest[0]).replace(b" ", b"")
        moved = number[4:] + number[:4]
        return 15 <= len(number) <= 34 and int("".join(str(int(chr(c), 36)) for c in moved)) % 97 == 1

    def _luhn(self, digits: bytes) -> bool:
        """Whether the last digit is the check digit of the others."""
        single = digits[::-2]
        total = sum(single) - 48 * len(single) + sum(digits[-2::-2].translate(self._doubled))
        return total % 10 == 0


ENTITIES: Mapping[Entity, Finder] = {Entity.CREDIT_CARD: _CreditCard(), Entity.EMAIL: _Email()}


def compile(params: Params) -> tuple[Finder, ...]:
    """One finder for each entity, the same object for every policy."""
    return tuple(ENTITIES[entity] for entity in sorted(set(params.entities)))

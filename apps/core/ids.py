# SPDX-License-Identifier: Apache-2.0
"""Ids that say their kind and carry their time: `req_` and 32 hex digits of a UUIDv7 (RFC 9562, section 5.7)."""

import re
from datetime import datetime
from os import urandom
from time import time_ns

from apps.core import clock

KINDS = {
    "req": "request", "org": "organisation", "team": "team", "prj": "project", "per": "person", "grp": "group",
    "key": "virtual key", "bgt": "budget", "tok": "personal token", "prv": "provider", "mdl": "model",
    "tgt": "target", "pol": "policy", "plv": "policy version", "apr": "approval request", "chg": "change",
    "ntf": "notice", "hook": "webhook", "dlv": "delivery", "led": "ledger entry", "ls": "lease", "rvl": "reveal",
    "prc": "price", "prx": "price correction",
    "als": "model alias",
}  # fmt: skip
# Two of the four bits of a digit say which variant the UUID is; the other two stay random.
_VARIANT = {digit: "89ab"[number & 3] for number, digit in enumerate("0123456789abcdef")}
PATTERN = re.compile(r"^([a-z]{2,4})_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$")


def new(kind: str) -> str:
    """A fresh id of a kind; ids of one process sort by the millisecond they were made in."""
    return at(kind, time_ns() // 1_000_000)


def at(kind: str, milliseconds: int) -> str:
    """A fresh id of a kind that carries the given moment."""
    noise = urandom(10).hex()
    return f"{kind}_{milliseconds:012x}7{noise[:3]}{_VARIANT[noise[3]]}{noise[4:19]}"


def milliseconds(identifier: str) -> int:
    """The moment an id was made, in milliseconds since 1970; ValueError when it is not one of ours."""
    if PATTERN.match(identifier) is None:
        raise ValueError("not an id")
    return int(identifier.partition("_")[2][:12], 16)


def read_ms(own: str) -> int:
    """The same of an id that was made here and needs no look: for the hot path."""
    return int(own[own.index("_") + 1 :][:12], 16)


def moment(identifier: str) -> datetime:
    """The aware UTC moment an id was made; ValueError when it is not one of ours."""
    return clock.from_ms(milliseconds(identifier))


def is_id(kind: str, text: str) -> bool:
    """Whether a text is an id of the kind."""
    found = PATTERN.match(text)
    return found is not None and found[1] == kind


def smallest(kind: str, milliseconds_: int) -> str:
    """The least id of a moment: a bound for range queries, not an id to store."""
    return f"{kind}_{milliseconds_:012x}7{0x8000000000000000:019x}"

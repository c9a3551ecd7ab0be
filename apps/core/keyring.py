# SPDX-License-Identifier: Apache-2.0
"""The one ring of secrets: keyed digests, sealed values and signatures, each purpose with keys of its own."""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

_NONCE = 12
_BLOCK = 64


class Purpose(StrEnum):
    """What a key may be used for; a key of one purpose never serves another."""

    DIGEST = "digest"  # look-up digests of virtual keys and tokens
    FIELD = "field"  # sealed columns and published credentials
    BODY = "body"  # sealed prompts and answers
    SIGN = "sign"  # webhooks, short tokens


class KeyRingError(Exception):
    """The ring cannot be read or does not hold the key; the text never holds key material."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of the ring; the highest `number` of a purpose makes new values, all read old ones."""

    purpose: Purpose
    number: int
    secret: bytes = field(repr=False)


class KeyRing:
    """All keys of an installation; immutable, its repr shows numbers only."""

    __slots__ = ("_inner", "_keys", "_newest", "_outer")

    def __init__(self, keys: list[RingKey]) -> None:
        self._keys: Mapping[tuple[Purpose, int], bytes] = {(k.purpose, k.number): k.secret for k in keys}
        self._newest = {
            purpose: max((k.number for k in keys if k.purpose is purpose), default=0) for purpose in Purpose
        }
        missing = [purpose.value for purpose, number in self._newest.items() if number == 0]
        if missing:
            raise KeyRingError(f"the key ring has no key for {', '.join(missing)}")
        # Every request asks for a digest: the two blocks that HMAC begins with are hashed once.
        block = self._keys[Purpose.DIGEST, self._newest[Purpose.DIGEST]].ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    @override
    def __repr__(self) -> str:
        return (
            f"KeyRing({', '.join(f'{purpose.value}={number}' for purpose, number in self._newest.items())})"
        )

    def digest(self, text: str) -> str:
        """The look-up digest of a credential under the newest key: 64 hex digits, HMAC-SHA-256 (RFC 2104)."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.hexdigest()

    def digests(self, text: str) -> list[str]:
        """The digests of a credential under every key, newest first: what a look-up tries after a rotation."""
        numbers = sorted((n for p, n in self._keys if p is Purpose.DIGEST), reverse=True)
        raw = text.encode("utf-8", "surrogatepass")
        return [hmac.digest(self._keys[Purpose.DIGEST, number], raw, "sha256").hex() for number in numbers]

    def seal(self, purpose: Purpose, plain: bytes, bound_to: str) -> bytes:
        """AES-256-GCM (NIST SP 800-38D) bound to a context, so that a value moved elsewhere does not open.

        Layout: key number as 2 bytes, 12 bytes of nonce, ciphertext with its tag.
        """
        number = self._newest[purpose]
        nonce = os.urandom(_NONCE)
        box = AESGCM(self._keys[purpose, number])
        return number.to_bytes(2, "big") + nonce + box.encrypt(nonce, plain, bound_to.encode())

    def open(self, purpose: Purpose, sealed: bytes, bound_to: str) -> bytes:
        """The plain value of a sealed one; KeyRingError when it was changed, moved, or its key is gone."""
        secret = self._keys.get((purpose, int.from_bytes(sealed[:2], "big")))
        if secret is None or len(sealed) < 2 + _NONCE:
            raise KeyRingError(f"no {purpose.value} key opens this value")
        try:
            return AESGCM(secret).decrypt(sealed[2 : 2 + _NONCE], sealed[2 + _NONCE :], bound_to.encode())
        except InvalidTag:
            raise KeyRingError(f"this {purpose.value} value was changed or belongs elsewhere") from None

    def signature(self, payload: bytes, number: int = 0) -> tuple[int, str]:
        """HMAC-SHA-256 over a payload as (key number, hex digits)."""
        number = number or self._newest[Purpose.SIGN]
        secret = self._keys.get((Purpose.SIGN, number))
        if secret is None:
            raise KeyRingError("no such signing key")
        return number, hmac.digest(secret, payload, "sha256").hex()

    def secret_for(self, subject: str) -> bytes:
        """A secret of 32 bytes that belongs to one subject, derived from the newest signing key."""
        return hmac.digest(self._keys[Purpose.SIGN, self._newest[Purpose.SIGN]], subject.encode(), "sha256")

    def rotated(self, purpose: Purpose) -> "KeyRing":
        """A ring with one more key of a purpose; what the old ones made stays readable."""
        keys = [RingKey(p, n, secret) for (p, n), secret in self._keys.items()]
        return KeyRing([*keys, RingKey(purpose, self._newest[purpose] + 1, secrets.token_bytes(32))])

    def to_json(self) -> str:
        """The stored form of the ring; secret."""
        rows = [
            {"purpose": p.value, "number": n, "secret": base64.b64encode(secret).decode()}
            for (p, n), secret in sorted(self._keys.items())
        ]
        return json.dumps({"v": 1, "keys": rows})


def fresh() -> KeyRing:
    """A ring with one new key for each purpose."""
    return KeyRing([RingKey(purpose, 1, secrets.token_bytes(32)) for purpose in Purpose])


def from_json(text: str) -> KeyRing:
    """The ring in its stored form; KeyRingError without any part of the text when it is not one."""
    try:
        data = json.loads(text)
        rows = data["keys"]
        keys = [
            RingKey(
                Purpose(row["purpose"]), int(row["number"]), base64.b64decode(row["secret"], validate=True)
            )
            for row in rows
        ]
        sound = data["v"] == 1 and all(len(k.secret) == 32 and 0 < k.number < 65536 for k in keys)
    except (ValueError, KeyError, TypeError):
        raise KeyRingError("the key ring is not in its JSON form") from None
    if not sound or len({(k.purpose, k.number) for k in keys}) != len(keys):
        raise KeyRingError("the key ring is not in its JSON form")
    return KeyRing(keys)


def load(text: str, path: Path) -> KeyRing:
    """The ring given as text, else the one in the file; made there, mode 600, by the first who asks."""
    if text:
        return from_json(text)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _write(path, fresh().to_json())
        return from_json(path.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def fingerprint(data: bytes) -> str:
    """SHA-256 of some bytes as hex digits: for equality only, it hides nothing that can be guessed."""
    return hashlib.sha256(data).hexdigest()

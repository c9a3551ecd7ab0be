# SPDX-License-Identifier: Apache-2.0
"""Stored answers and the scope in which they may be found again."""

from decimal import Decimal
from hashlib import sha256

import msgspec

from apps.core.values import Value

SECONDS = 300
MOST_BYTES = 256 * 1024


class Stored(Value, frozen=True, kw_only=True):
    """One answer of the exact phase, as it was delivered; `bundle` and `reader` say who it was reviewed for."""

    body: msgspec.Raw
    model: str
    target: str
    bundle: str
    reader: str
    input_tokens: int
    output_tokens: int
    cost: Decimal
    stored_ms: int


def exact_digest(
    *, dialect: str, organisation_id: str, reader: str, model_id: str, bundle: str, rewritten: bytes
) -> str:
    """The key of an exact hit: everything an answer may depend on, each part with its length in front.

    `reader` is the group of callers who may share answers, `rewritten` the request as policies left it, without
    the fields that only say how the answer is delivered.
    """
    digest = sha256()
    scope = (dialect, organisation_id, reader, model_id, bundle)
    for part in (*(text.encode() for text in scope), rewritten):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()

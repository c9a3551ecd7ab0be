# SPDX-License-Identifier: Apache-2.0
"""What the pipeline says to the journal: an exchange was admitted, an exchange is over."""

from apps.audit import journal as lines
from apps.audit.domain import Body, Record, State, encode_body, encode_record
from apps.audit.journal import Journal, JournalError
from apps.core.outcome import Refuse

_UNAVAILABLE = Refuse(
    "record_unavailable",
    "The record of this request cannot be written, and this gateway answers nothing it cannot record. "
    "Send the request again in a few seconds.",
    headers=(("retry-after", "5"),),
)


async def open_record(journal: Journal, record: Record) -> Refuse | None:
    """Journal that an exchange was admitted; without a `record` later it is closed as interrupted.

    A refusal, in mode `closed` or `strict`, comes before the upstream is called.
    """
    try:
        journal.write(lines.OPEN, encode_record(record))
        if journal.mode == "strict":
            await journal.flush()
    except JournalError:
        return _UNAVAILABLE
    return None


async def record(journal: Journal, record: Record, body: Body | None = None) -> Refuse | None:
    """Journal a finished exchange, its body first; to be called before the last byte is released."""
    record.state = State.DONE
    try:
        if body is not None:
            record.body_stored = True
            journal.write(lines.BODY, encode_body(body))
        journal.write(lines.DONE, encode_record(record))
        if journal.mode == "strict":
            await journal.flush()
    except JournalError:
        return _UNAVAILABLE
    return None

# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: however the bytes arrive, the same events come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import limits, sse

PIECES = st.sampled_from(
    [
        b"data: a\n",
        b"data:b\n",
        b"data\n",
        b"event: x\n",
        b": comment\n",
        b"id: 1\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"data: c\r\n",
        b"\n\n",
        b"data: \xc3\xa9\n",
        b"\xef\xbb\xbf",
    ]
)


def split(chunks: list[bytes]) -> list[bytes]:
    """The data of all events that have any."""
    splitter = sse.Splitter()
    found = [data for chunk in chunks for _, data in splitter.feed(chunk)]
    return [data for data in [*found, *(data for _, data in splitter.close())] if data]


@given(st.lists(PIECES, max_size=25), st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_any_chunking_gives_the_same_events(pieces: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(pieces)
    chunks, at = [], 0
    while at < len(whole):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(whole[at : at + size])
        at += size

    assert split(chunks) == split([whole])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_one(end: bytes) -> None:
    lines = [
        b"data: one",
        b"",
        b": a comment",
        b"event: x",
        b"data: two",
        b"data: lines",
        b"",
        b"data: [DONE]",
        b"",
        b"",
    ]

    assert split([end.join(lines)]) == [b"one", b"two\nlines", b"[DONE]"]


def test_a_byte_order_mark_leads_only_once() -> None:
    assert split([b"\xef", b"\xbb", b"\xbfdata: a\n\n", b"data: \xef\xbb\xbfb\n\n"]) == [
        b"a",
        b"\xef\xbb\xbfb",
    ]


def test_raw_bytes_are_events_of_their_own() -> None:
    found = sse.Splitter().feed(b"data: a\r\n\r\n\r\n: x\n\ndata: b\n\n")

    assert [raw for raw, _ in found] == [b"data: a\n\n", b": x\n\n", b"data: b\n\n"]
    assert split([b"".join(raw for raw, _ in found)]) == [b"a", b"b"]


def test_an_event_without_end_is_refused() -> None:
    splitter = sse.Splitter()
    splitter.feed(b"x" * limits.MAX_EVENT_BYTES)

    with pytest.raises(sse.EventSizeError):
        splitter.feed(b"x")


def test_what_is_made_can_be_read() -> None:
    assert split([sse.event(b'{"a":1}'), sse.KEEP_ALIVE, sse.event(b"two", name=b"delta")]) == [
        b'{"a":1}',
        b"two",
    ]

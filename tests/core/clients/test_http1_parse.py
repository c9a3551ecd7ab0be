# SPDX-License-Identifier: Apache-2.0
"""Our reader of answers: any way the bytes arrive means the same, and nothing ambiguous is read at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import http1_parse
from apps.core.http1_parse import Malformed, Reader
from tests.core.clients.peer import chunked, whole

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

names = st.from_regex(rb"\A[A-Za-z][A-Za-z0-9-]{0,15}\Z").filter(
    lambda name: (
        name.lower() not in {b"content-length", b"transfer-encoding", b"content-encoding", b"connection"}
    )
)
values = st.from_regex(rb"\A[!-~]([ -~]{0,30}[!-~])?\Z")
pairs = st.lists(st.tuples(names, values), max_size=6, unique_by=lambda pair: pair[0].lower())
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


def read(raw: bytes, at: list[int], method: str = "POST", *, eof: bool = False) -> Reader:
    """A reader that was fed the bytes in pieces."""
    reader = Reader(method)
    places = sorted({place % (len(raw) + 1) for place in at} | {0, len(raw)})
    for begin, end in itertools.pairwise(places):
        reader.feed(raw[begin:end])
    if eof:
        reader.eof()
    return reader


def outcome(raw: bytes, at: list[int]) -> tuple[object, ...]:
    """All that a caller can see of an answer that was read in pieces."""
    reader = Reader("POST")
    places = sorted({place % (len(raw) + 1) for place in at} | {0, len(raw)})
    try:
        for begin, end in itertools.pairwise(places):
            reader.feed(raw[begin:end])
    except Malformed:
        return ("malformed",)
    return reader.status, reader.headers, reader.complete, reader.reusable, reader.take()


@given(pairs, bodies, st.booleans(), st.booleans(), cuts)
def test_any_split_of_an_answer_means_the_same(
    headers: list[tuple[bytes, bytes]], body: list[bytes], in_chunks: bool, interim: bool, at: list[int]
) -> None:
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    if in_chunks:
        raw = chunked(*body).replace(OK, OK + lines, 1)
    else:
        raw = whole(b"".join(body)).replace(OK, OK + lines, 1)
    if interim:
        raw = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + raw
    reader = read(raw, at)
    assert reader.status == 200
    assert {name.lower(): value for name, value in headers}.items() <= reader.headers.items()
    assert b"link" not in reader.headers or any(name.lower() == b"link" for name, _ in headers)
    assert reader.take() == b"".join(body)
    assert reader.complete
    assert reader.reusable


@given(st.sampled_from([whole(b"hello", b"A: b"), chunked(b"hel", b"lo", trailer=b"T: u\r\n")]), st.data())
def test_a_mutated_answer_is_read_in_one_way_or_not_at_all(raw: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)))
        kind = data.draw(st.sampled_from(["replace", "insert", "delete", "repeat"]))
        piece = data.draw(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"0", b"f", b";", b"-"]))
        if kind == "replace":
            raw = raw[:place] + piece + raw[place + 1 :]
        elif kind == "insert":
            raw = raw[:place] + piece + raw[place:]
        elif kind == "delete":
            raw = raw[:place] + raw[place + 1 :]
        else:
            raw = raw[:place] + raw[max(0, place - 9) : place] + raw[place:]
    at = data.draw(cuts)
    assert outcome(raw, at) == outcome(raw, [])


@given(st.binary(max_size=300), cuts)
def test_noise_is_malformed_or_incomplete_and_nothing_else(noise: bytes, at: list[int]) -> None:
    for raw in (noise, OK + noise, CHUNKED + noise):
        found = outcome(raw, at)
        assert found[0] == "malformed" or len(found) == 5


@given(st.sampled_from([whole(b"hello"), chunked(b"hello"), chunked(b"a", trailer=b"T: u\r\n")]), st.data())
def test_one_byte_more_than_the_answer_makes_its_connection_useless(raw: bytes, data: st.DataObject) -> None:
    extra = data.draw(
        st.binary(min_size=1, max_size=8) | st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", whole(b"x")])
    )
    reader = read(raw + extra, data.draw(cuts))
    assert reader.complete
    assert not reader.reusable
    assert reader.take() in {b"hello", b"a"}


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Content-Length : 2\r\n\r\nhi",
        OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
        OK + b"Content-Length: 0x5\r\n\r\n",
        OK + b"Content-Length: \xb2\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, identity\r\n\r\n",
        OK + b"Transfer-Encoding: xchunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"A: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        OK + b"A: b\n\r\n",
        OK + b"A: b\nContent-Length: 0\r\n\r\n",
        CHUNKED + b"5\nhello\n0\n\n",
        CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
        b"\r\n" + whole(b"hi"),
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        OK + b"A: " + b"b" * http1_parse.MAX_HEAD + b"\r\n\r\n",
        OK + b"A: b\r\n" * 201 + b"\r\n",
        CHUNKED + b"0\r\n" + b"A: b\r\n" * 201 + b"\r\n",
        CHUNKED + b"5;" + b"x" * (http1_parse.MAX_OVERHEAD + 1),
        CHUNKED + b"0\r\nA: " + b"x" * (http1_parse.MAX_OVERHEAD + 1),
    ],
)
def test_what_is_ambiguous_or_without_bound_is_malformed(raw: bytes) -> None:
    for at in ([], list(range(0, len(raw), max(1, len(raw) // 500)))):
        with pytest.raises(Malformed):
            read(raw, at)


@pytest.mark.parametrize(
    ("raw", "reusable"),
    [
        (whole(b"hi"), True),
        (whole(b"hi", b"Connection: keep-alive"), True),
        (whole(b"hi", b"Connection: Close"), False),
        (whole(b"hi", b"Connection: x", b"Connection: close"), False),
        (whole(b"hi").replace(b"1.1", b"1.0"), False),
        (OK + b"Connection: keep-alive\r\n\r\nhi", False),
        (whole(b"hi")[:-1], False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", False),
        (chunked(b"hi", trailer=b"T:\r\n"), True),
    ],
)
def test_only_a_whole_answer_that_stays_alive_leaves_its_connection(raw: bytes, reusable: bool) -> None:
    assert read(raw, []).reusable is reusable
    assert read(raw, list(range(len(raw)))).reusable is reusable


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = read(OK + b"\r\nhello", [3, 20], eof=True)
    assert reader.complete
    assert not reader.reusable
    assert reader.take() == b"hello"
    with pytest.raises(Malformed):
        read(whole(b"hello")[:-1], [], eof=True)


def test_a_first_header_wins_and_the_answer_to_head_has_no_body() -> None:
    assert read(whole(b"", b"A: 1", b"a: 2"), []).headers[b"a"] == b"1"
    assert read(OK + b"Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n", [], "HEAD").reusable

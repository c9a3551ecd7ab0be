# SPDX-License-Identifier: Apache-2.0
"""One HTTP/1.1 answer out of bytes: httptools reads the head and the chunks, this says where the message ends.

No socket, no clock. What is ambiguous is malformed: an answer either has one possible reading or none
(RFC 9112, sections 6 and 7). Only an answer that ended exactly where its framing says may leave its connection
to the next request.
"""

from typing import Any

import httptools

MAX_HEAD = 64 * 1024
MAX_HEADERS = 200
MAX_INTERIM = 8
MAX_OVERHEAD = 64 * 1024
_START = b"HTTP/1."
_END = b"\r\n\r\n"
_LONGEST = 18  # digits of a length
_SINGLE = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_IDENTITY = frozenset({b"", b"identity"})
_HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _ENDED = range(5)


class Malformed(Exception):  # noqa: N818 - a finding about the peer, not a defect
    """The bytes are no answer that can be read in exactly one way."""


class Reader:
    """Reads one answer: `feed` bytes, `take` what came of the body, ask `complete` and `reusable`."""

    __slots__ = (
        "_chunked",
        "_head_size",
        "_headless",
        "_interim",
        "_keep",
        "_left",
        "_parser",
        "_phase",
        "_start",
        "_tail",
        "_taken",
        "buffered",
        "complete",
        "count",
        "framed",
        "headers",
        "overhead",
        "parts",
        "received",
        "started",
        "status",
        "surplus",
    )

    def __init__(self, method: str) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.parts: list[bytes] = []
        self.buffered = 0
        self.received = 0
        self.overhead = 0
        self.count = 0
        self.started = False
        self.framed = False
        self.complete = False
        self.surplus = False
        self._headless = method == "HEAD"
        self._keep = False
        self._phase = _HEAD
        self._left = 0
        self._interim = 0
        self._head_size = 0
        self._start = b""
        self._tail = b""
        self._parser: Any = httptools.HttpResponseParser(self)

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request: a whole message, kept alive, and not a byte more."""
        return self.complete and self._keep and not self.surplus

    @property
    def expected(self) -> int:
        """How long the body says it is; 0 when it does not say."""
        return self._left + self.received if self._phase == _LENGTH else 0

    def feed(self, data: bytes) -> None:
        """Read on; Malformed when no answer begins like this. Bytes after the end only set `surplus`."""
        if self._phase == _CHUNKED:
            self._feed_chunks(data)
            return
        while self._phase == _HEAD and data:
            data = self._feed_head(data)
        if not data:
            return
        if self._phase == _LENGTH:
            self._feed_counted(data)
        elif self._phase == _CHUNKED:
            self._feed_chunks(data)
        elif self._phase == _UNTIL_CLOSE:
            self._add(data)
        else:
            self.surplus = True

    def eof(self) -> None:
        """The peer says no more: the end of a body that lasts until then, Malformed for every other."""
        if self._phase == _UNTIL_CLOSE:
            self._end()
        elif not self.complete:
            raise Malformed("the connection was closed before the end of the answer")

    def forget(self) -> None:
        """Let go of the parser, which refers back to its reader."""
        self._parser = None

    def take(self) -> bytes:
        """What came of the body since the last time, as one piece."""
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.buffered = 0
        return data

    def _feed_head(self, data: bytes) -> bytes:
        """Read a head; the bytes after it come back."""
        self.started = True
        if len(self._start) < len(_START):
            self._start = (self._start + data[: len(_START)])[: len(_START)]
            if not _START.startswith(self._start):
                raise Malformed("the answer is not HTTP/1")
        window = self._tail + data
        end = window.find(_END)
        own = data if end < 0 else data[: end + len(_END) - len(self._tail)]
        self._head_size += len(own)
        if self._head_size > MAX_HEAD:
            raise Malformed("the answer's head is too long")
        self._parse(own)
        if end < 0:
            self._tail = window[-3:]
        if (end >= 0) is not bool(self.status):
            # The parser and the blank line disagree about where the head ends.
            raise Malformed("the answer's head has no clear end")
        if end < 0:
            return b""
        self._tail = b""
        if 100 <= self.status < 200:
            self._skip_interim()
        else:
            self._frame()
        return data[len(own) :]

    def _skip_interim(self) -> None:
        """Forget a 1xx head: the answer is still to come."""
        self._interim += 1
        if self.status == 101 or self._interim > MAX_INTERIM:
            raise Malformed("the answer changes the protocol or never begins")
        self.status, self.headers, self._start = 0, {}, b""
        # A parser per head, so that none carries a state from one into the next.
        self._parser = httptools.HttpResponseParser(self)

    def _frame(self) -> None:
        """Decide from the head how the body ends (RFC 9112, section 6.3)."""
        headers = self.headers
        version = self._parser.get_http_version()
        length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
        if self.status < 200 or version not in {"1.0", "1.1"}:
            raise Malformed("the answer's first line has no meaning")
        if coding is not None and (length is not None or coding.lower() != b"chunked" or version == "1.0"):
            raise Malformed("the answer's framing is ambiguous")
        if length is not None and not (length.isdigit() and len(length) <= _LONGEST):
            raise Malformed("the answer's length is not a number")
        self._keep = version == "1.1" and b"close" not in headers.get(b"connection", b"").lower()
        bodiless = self._headless or self.status in {204, 304}
        if not bodiless and headers.get(b"content-encoding", b"").lower() not in _IDENTITY:
            raise Malformed("the answer's body is compressed, which nobody asked for")
        self.framed = True
        if bodiless:
            self._end()
            return
        if coding is not None:
            self._phase = _CHUNKED
        elif length is not None:
            self._phase, self._left = _LENGTH, int(length)
            if not self._left:
                self._end()
        else:
            self._phase, self._keep = _UNTIL_CLOSE, False

    def _feed_counted(self, data: bytes) -> None:
        extra = len(data) - self._left
        if extra > 0:
            data, self.surplus = data[: self._left], True
        self._left -= len(data)
        self._add(data)
        if not self._left:
            self._end()

    def _feed_chunks(self, data: bytes) -> None:
        before = self.received
        try:
            self._parse(data)
        except Malformed:
            if not self.complete:
                raise
            self.surplus = True
        size = len(data)
        self._tail = tail = data[-5:] if size >= 5 else (self._tail + data)[-5:]
        if self.complete:
            # The parser skips line breaks after a message in silence; the last ones must be its own.
            if not tail.endswith(_END) or tail[:1] in b"\r\n":
                self.surplus = True
            self._end()
            return
        self.overhead += size - (self.received - before)
        if self.overhead > MAX_OVERHEAD + 16 * self.received:
            raise Malformed("the answer's chunks are mostly padding")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            inner = fault.__context__
            raise Malformed(str(inner if isinstance(inner, Malformed) else fault) or "unreadable") from None

    def _add(self, data: bytes) -> None:
        self.parts.append(data)
        self.buffered += len(data)
        self.received += len(data)

    def _end(self) -> None:
        self.complete, self._phase = True, _ENDED
        self.forget()

    # What the parser calls. After the end of the message each of them refuses, which stops the parser there.

    def on_message_begin(self) -> None:
        """A first byte; after the end it belongs to no request."""
        if self.complete:
            raise Malformed("bytes after the end")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is counted and forgotten."""
        self.count += 1
        if self.count > MAX_HEADERS or self.complete:
            raise Malformed("the answer has too many headers")
        if self._phase != _HEAD:
            return
        name, value, headers = name.lower(), value.rstrip(b" \t"), self.headers
        if name not in headers:
            headers[name] = value
        elif name in _SINGLE:
            raise Malformed("the answer's framing is ambiguous")
        elif name == b"connection":
            headers[name] += b"," + value

    def on_headers_complete(self) -> None:
        """The blank line."""
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """A piece of a chunk."""
        if self._phase != _CHUNKED or self.complete:
            raise Malformed("a body where none belongs")
        self.parts.append(data)
        size = len(data)
        self.buffered += size
        self.received += size

    def on_message_complete(self) -> None:
        """The end of the last chunk; of other bodies the parser never sees the end."""
        if self._phase == _CHUNKED:
            self.complete = True

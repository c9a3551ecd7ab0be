# SPDX-License-Identifier: Apache-2.0
"""Server-sent events over bytes: split whatever chunks arrive into whole events (WHATWG HTML, section 9.2)."""

from apps.core.limits import MAX_EVENT_BYTES

DONE = b"[DONE]"
KEEP_ALIVE = b": keep-alive\n\n"


class EventSizeError(ValueError):
    """An event longer than the bound: the stream cannot be trusted any further."""


class Splitter:
    """Turns chunks of any size into events; each event is its raw bytes and its data, joined by newlines."""

    __slots__ = ("_began", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._began = False

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """The events completed by a chunk as (raw with its blank line, data); EventSizeError past the bound."""
        rest = self._rest + chunk if self._rest else chunk
        if not self._began and rest:
            # A byte order mark may lead the stream.
            if b"\xef\xbb\xbf".startswith(rest[:3]) and len(rest) < 3:
                self._rest = rest
                return []
            self._began = True
            rest = rest.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in rest:
            # A lone CR at the end may be half of CRLF.
            held = b"\r" if rest.endswith(b"\r") else b""
            rest = rest[: len(rest) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *whole, self._rest = rest.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventSizeError(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        return [(block.lstrip(b"\n") + b"\n\n", data(block)) for block in whole if block.strip(b"\n")]

    def close(self) -> list[tuple[bytes, bytes]]:
        """What an upstream that ends without a blank line leaves behind, as an event when it has data."""
        rest, self._rest = self._rest.strip(b"\r\n"), b""
        return [(rest + b"\n\n", data(rest))] if rest and data(rest) else []


def data(block: bytes) -> bytes:
    """The data of one event block; empty for comments and other fields."""
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:]
    lines = (line[5:] for line in block.split(b"\n") if line.startswith(b"data:"))
    return b"\n".join(line[1:] if line[:1] == b" " else line for line in lines)


def event(payload: bytes, name: bytes = b"") -> bytes:
    """The wire form of one event whose payload holds no line break."""
    return b"event: " + name + b"\ndata: " + payload + b"\n\n" if name else b"data: " + payload + b"\n\n"

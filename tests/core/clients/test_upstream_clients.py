# SPDX-License-Identifier: Apache-2.0
"""What every upstream client does: the same behaviour of the library's and of our own."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apps.core import http
from apps.core.http import CallError, Client, Incoming
from tests.core.clients.peer import Request, call, chunked, peer, says, whole
from tests.upstreams.certificates import self_signed

# aiohttp thinks that a body of megabytes should be a file.
LARGE = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
MALFORMED = {
    "negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "list of lengths": OK + b"Content-Length: 5, 6\r\n\r\nhello!",
    "length and chunks": OK
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunks and length": OK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "bad chunk size": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "huge chunk size": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk longer than said": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nul in a header": OK + b"A: b\0c\r\nContent-Length: 2\r\n\r\nhi",
    "line break in a header": OK + b"A: b\rc\r\nContent-Length: 2\r\n\r\nhi",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "huge head": OK + b"A: " + b"b" * 2**20 + b"\r\n\r\n",
    "endless head": OK + b"".join(b"A%d: b\r\n" % number for number in range(100_000)),
    "nothing": b"",
}


@pytest.fixture(params=["aiohttp", "h1"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client of each kind."""
    made = http.client(request.param)
    yield made
    await made.close()
    await asyncio.sleep(0.01)


async def body_of(answer: Incoming) -> bytes:
    """The body, chunk by chunk."""
    return b"".join([chunk async for chunk in answer.chunks()])


@pytest.mark.parametrize("by_chunks", [False, True])
@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (whole(b"hello"), b"hello"),
        (whole(b""), b""),
        (whole(b"x" * 300_000), b"x" * 300_000),
        (chunked(b"hel", b"lo"), b"hello"),
        (chunked(), b""),
        (chunked(b"hello", trailer=b"X-Sum: 1\r\n"), b"hello"),
        (CHUNKED + b"5;name=value\r\nhello\r\n0\r\n\r\n", b"hello"),
        (OK + b"\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + whole(b"hello"),
            b"hello",
        ),
    ],
)
async def test_every_kind_of_body_arrives_as_it_was_sent(
    client: Client, raw: bytes, body: bytes, by_chunks: bool
) -> None:
    async with peer(says(raw)) as server:
        answer = await client.send(call(server.url))
        assert (await body_of(answer) if by_chunks else await answer.read()) == body


@pytest.mark.parametrize("raw", [whole(b"hello", b"A: b"), chunked(b"hel", b"lo", trailer=b"T: u\r\n")])
async def test_an_answer_may_come_byte_by_byte(client: Client, raw: bytes) -> None:
    pieces = [bytes([byte]) for byte in raw]
    async with peer(says(*pieces, keep=True)) as server:
        for _ in range(2):
            answer = await client.send(call(server.url))
            assert answer.status == 200
            assert await answer.read() == b"hello"
        assert server.accepted == 1


async def test_headers_are_found_by_any_spelling_and_absent_ones_are_empty(client: Client) -> None:
    async with peer(says(whole(b"", b"Retry-AFTER:  7 ", b"Empty:", status=b"429 Slow down"))) as server:
        answer = await client.send(call(server.url))
        assert answer.status == 429
        assert answer.header("retry-after") == answer.header("Retry-After") == "7"
        assert answer.header("empty") == answer.header("absent") == ""


async def test_the_request_is_what_the_call_says_and_nothing_else(client: Client) -> None:
    async with peer(says(whole(b""), keep=True)) as server:
        for method, body in (("POST", b"{}"), ("POST", b""), ("GET", b""), ("DELETE", b"")):
            await (await client.send(call(server.url, method=method, body=body))).read()
        first = server.requests[0].head.decode().lower().split("\r\n")
        assert first[0] == "post /v1/x?y=1 http/1.1"
        assert sorted(line for line in first[1:] if line) == [
            "authorization: bearer sk-test",
            "content-length: 2",
            "content-type: application/json",
            f"host: 127.0.0.1:{server.port}",
        ]
        assert server.requests[1].header("content-length") == "0"
        assert [request.body for request in server.requests] == [b"{}", b"", b"", b""]


async def test_an_ipv6_host_is_bracketed(client: Client) -> None:
    async with peer(says(whole(b"six")), host="::1") as server:
        answer = await client.send(call(server.url))
        assert await answer.read() == b"six"
        assert server.requests[0].header("host") == f"[::1]:{server.port}"


async def test_a_head_answer_has_no_body_and_the_connection_stays_usable(client: Client) -> None:
    async with peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", keep=True)) as server:
        for _ in range(2):
            answer = await client.send(call(server.url, method="HEAD", body=b""))
            assert await answer.read() == b""


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_an_answer_that_cannot_be_read_is_cut(client: Client, raw: bytes) -> None:
    async with peer(says(raw)) as server:
        with pytest.raises(CallError) as caught:
            await (await client.send(call(server.url))).read()
        assert caught.value.kind == "cut"
        await server.until(lambda: server.open == 0)


@pytest.mark.parametrize("by_chunks", [False, True])
@pytest.mark.parametrize("raw", [whole(b"hello", b"A: b"), chunked(b"hel", b"lo", trailer=b"T: u\r\n")])
async def test_an_early_end_at_any_offset_is_cut(client: Client, raw: bytes, by_chunks: bool) -> None:
    offset = [0]

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw[: offset[0]])

    async with peer(answering) as server:
        # The last two bytes of a chunked answer end its trailers: aiohttp does not wait for the very last.
        for offset[0] in range(len(raw) - 2):
            with pytest.raises(CallError) as caught:  # noqa: PT012 - either may say it
                answer = await client.send(call(server.url))
                await (body_of(answer) if by_chunks else answer.read())
            assert caught.value.kind == "cut"


async def test_a_redirect_is_an_answer_like_any_other(client: Client) -> None:
    async with peer(says(whole(b"", b"Location: http://127.0.0.1:1/", status=b"302 Found"))) as server:
        answer = await client.send(call(server.url))
        assert (answer.status, answer.header("location")) == (302, "http://127.0.0.1:1/")
        assert len(server.requests) == 1


async def test_a_connection_is_kept_unless_the_answer_says_close(client: Client) -> None:
    async with peer(says(whole(b"a"), keep=True)) as server:
        for _ in range(3):
            assert await (await client.send(call(server.url))).read() == b"a"
        assert server.accepted == 1
    async with peer(says(whole(b"a", b"Connection: close"), keep=True)) as server:
        for _ in range(3):
            assert await (await client.send(call(server.url))).read() == b"a"
        assert server.accepted == 3


@pytest.mark.parametrize("raw", [whole(b"mine"), chunked(b"mine")])
async def test_bytes_after_an_answer_are_never_the_next_answer(client: Client, raw: bytes) -> None:
    async with peer(says(raw + whole(b"SMUGGLED"), keep=True)) as server:
        for _ in range(3):
            assert await (await client.send(call(server.url))).read() == b"mine"
        assert server.accepted == 3


async def test_silence_and_the_total_end_a_call(client: Client) -> None:
    async with peer(says(hold=True)) as server:
        for limits in ({"silence": 0.05}, {"total": 0.05}):
            with pytest.raises(CallError) as caught:
                await client.send(call(server.url, **limits))
            assert caught.value.kind == "timeout"
    async with peer(says(CHUNKED + b"1\r\na\r\n", hold=True)) as server:
        for limits in ({"silence": 0.2}, {"total": 0.2}):
            for by_chunks in (False, True):
                answer = await client.send(call(server.url, **limits))
                with pytest.raises(CallError) as caught:
                    await (body_of(answer) if by_chunks else answer.read())
                assert caught.value.kind == "timeout"
        await server.until(lambda: server.open == 0)


@pytest.mark.parametrize("raw", [whole(b"x" * 5000), chunked(*[b"x" * 100] * 50), OK + b"\r\n" + b"x" * 5000])
async def test_a_body_past_the_limit_is_too_large(client: Client, raw: bytes) -> None:
    async with peer(says(raw)) as server:
        with pytest.raises(CallError) as caught:
            await (await client.send(call(server.url))).read(4999)
        assert caught.value.kind == "too_large"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_refused_before_anything_is_sent(client: Client, host: str) -> None:
    async with peer(says(whole(b""))) as server:
        url = f"http://{host}:{server.port}/"
        # A connection that was made with permission is not used without.
        await (await client.send(call(server.url))).read()
        with pytest.raises(CallError) as caught:
            await client.send(call(url, private_allowed=False))
        assert caught.value.kind == "refused"
        assert server.accepted == 1


async def test_nobody_there_is_a_failure_to_connect(client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CallError) as caught:
            await client.send(call(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert caught.value.kind == "connect"
    with pytest.raises(CallError) as caught:
        await client.send(call("http://no-such-host.invalid/"))
    assert caught.value.kind == "connect"


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb", "a\0b"])
async def test_a_header_that_would_break_the_head_is_an_error_before_anything_is_sent(
    client: Client, value: str
) -> None:
    async with peer(says(whole(b""), keep=True)) as server:
        for headers in ((("x-a", value),), ((value, "x"),)):
            with pytest.raises(ValueError):  # noqa: PT011 - any
                await client.send(call(server.url, headers=headers))
        assert server.requests == []


async def test_tls_is_verified_unless_the_call_says_otherwise(client: Client, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with peer(says(whole(b"secret"), keep=True), tls=context, name="localhost") as server:
        for _ in range(2):
            answer = await client.send(call(server.url, verify_tls=False))
            assert await answer.read() == b"secret"
        assert server.accepted == 1
        # The connection that nobody verified is not used for a call that wants it verified.
        with pytest.raises(CallError) as caught:
            await client.send(call(server.url))
        assert caught.value.kind == "tls"
        assert len(server.requests) == 2


async def test_plain_text_where_tls_was_expected_is_an_error(client: Client) -> None:
    async with peer(says(whole(b""))) as server:
        with pytest.raises(CallError) as caught:
            await client.send(call(server.url.replace("http:", "https:"), connect=0.5, total=0.5))
        assert caught.value.kind in {"tls", "connect", "timeout"}


async def test_close_and_cancel_drop_the_connection(client: Client) -> None:
    async with peer(says(CHUNKED + b"1\r\na\r\n", hold=True)) as server:
        answer = await client.send(call(server.url))
        answer.close()
        await server.until(lambda: server.open == 0)
        reading = asyncio.create_task(body_of(await client.send(call(server.url))))
        await asyncio.sleep(0.02)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await server.until(lambda: server.open == 0)
        assert server.accepted == 2


@LARGE
async def test_a_large_body_is_sent_whole(client: Client) -> None:
    body = bytes(range(256)) * 20_000
    async with peer(says(whole(b"thanks"), keep=True)) as server:
        for _ in range(2):
            assert await (await client.send(call(server.url, body=body))).read() == b"thanks"
        assert [request.body == body for request in server.requests] == [True, True]


@LARGE
async def test_an_answer_may_come_before_the_request_is_sent(client: Client) -> None:
    headers = (("x-leave-body", "yes"),)
    async with peer(says(whole(b"too big", status=b"413 Too large"), hold=True)) as server:
        answer = await client.send(call(server.url, headers=headers, body=b"x" * 20_000_000))
        assert (answer.status, await answer.read()) == (413, b"too big")
        await (await client.send(call(server.url, headers=headers))).read()
        assert server.accepted == 2


async def test_a_reader_that_is_slow_slows_the_sender(client: Client) -> None:
    sent = 0

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + b"\r\n")
        for _ in range(2000):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with peer(answering) as server:
        answer = await client.send(call(server.url))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 40_000_000
        received = 0
        async for chunk in answer.chunks():
            received += len(chunk)
        assert received == sent == 2000 * 65536

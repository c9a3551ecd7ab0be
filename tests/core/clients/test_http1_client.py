# SPDX-License-Identifier: Apache-2.0
"""Our own client beyond what the library's does as well: what is refused, when a connection is used again."""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core import http1, http1_pool, http1_request
from apps.core.http import CallError
from apps.core.http1 import Http1Client
from tests.core.clients.peer import Request, call, chunked, peer, says, whole
from tests.upstreams.certificates import self_signed

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def client() -> AsyncIterator[Http1Client]:
    """Our own client."""
    made = Http1Client()
    yield made
    await made.close()
    await asyncio.sleep(0.01)
    assert len(made._pool) == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://host/a b",
        "http://host/a\r\nB: c",
        "http://host\r\n/",
        "http://ho\0st/",
        "http://höst/",
        "http://user:secret@host/",
        "http://.host/",
        "http://host:0/",
        "http://host:99999/",
        "http://[fe80::1%25eth0]/",
        "http:///path",
        "ftp://host/",
        "host/path",
        "",
    ],
)
async def test_a_url_that_cannot_be_sent_as_it_is_is_an_error(client: Http1Client, url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        await client.send(call(url))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET / HTTP/1.1\r\nA: b\r\n\r\nGET"},
        {"method": "get"},
        {"method": "CONNECT"},
        {"headers": (("", "a"),)},
        {"headers": (("a b", "c"),)},
        {"headers": (("a:", "c"),)},
        {"headers": (("a", "b\x7f"),)},
        {"headers": (("Transfer-Encoding", "chunked"),)},
        {"headers": (("Content-Length", "500"),)},
        {"headers": (("Host", "another.example"),)},
        {"headers": (("Connection", "upgrade"),)},
        {"headers": (("a", "\ud800"),)},
    ],
)
async def test_a_head_that_could_be_misread_is_never_sent(
    client: Http1Client, changes: dict[str, object]
) -> None:
    async with peer(says(whole(b""), keep=True)) as server:
        with pytest.raises(ValueError):  # noqa: PT011 - any
            await client.send(call(server.url, **changes))
        assert server.accepted == 0


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_pieces_are_the_head_has_one_line_for_each(name: str, value: str) -> None:
    to = http1_request.target("http://host.example:81/path?query")
    try:
        head = http1_request.head("POST", to, ((name, value),), 3)
    except ValueError:
        return
    lines = head.split(b"\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)
    assert lines[0] == b"POST /path?query HTTP/1.1"
    assert len(lines) == (5 if name.lower() in {"host", "content-length"} else 6)


async def test_a_name_with_one_private_address_is_refused(
    client: Http1Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    found = [(*kind, ("192.0.46.8", 0)), (*kind, ("10.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *rest, **named: found)
    with pytest.raises(CallError) as caught:
        await client.send(call("http://two.example/", private_allowed=False))
    assert caught.value.kind == "refused"


async def test_a_name_is_looked_up_once_and_its_next_address_is_tried(
    client: Http1Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def addresses(host: object, *rest: object, **named: object) -> list[object]:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.9", 0)), (*kind, ("127.0.0.1", 0))]

    async with peer(says(whole(b"b", b"Connection: close"))) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        url = f"http://two.example:{server.port}/"
        answers = await asyncio.gather(*[client.send(call(url)) for _ in range(5)])
        assert [await answer.read() for answer in answers] == [b"b"] * 5
        assert await (await client.send(call(url))).read() == b"b"
        assert asked == ["two.example"]
        assert server.requests[0].header("host") == f"two.example:{server.port}"


async def test_a_connection_with_an_unread_byte_is_not_used_again(client: Http1Client) -> None:
    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(b"%d" % request.connection))
        return True

    async with peer(answering) as server:
        assert await (await client.send(call(server.url))).read() == b"1"
        (connection,) = client._pool._all
        assert connection.quiet()
        # Sent past the loop, so that the client's loop cannot have read it when the next call begins.
        theirs = next(iter(server.writers)).get_extra_info("socket")
        descriptor = socket.socket(fileno=socket.dup(theirs.fileno()))
        descriptor.setblocking(True)
        descriptor.send(whole(b"SMUGGLED"))
        descriptor.close()
        assert not connection.quiet()
        assert await (await client.send(call(server.url))).read() == b"2"


async def test_idle_connections_are_bounded_and_expire(
    client: Http1Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1_pool, "MAX_IDLE", 2)
    monkeypatch.setattr(http1_pool, "SWEEP_SECONDS", 0.02)
    async with peer(says(whole(b"a"), keep=True)) as server:
        answers = await asyncio.gather(*[client.send(call(server.url)) for _ in range(5)])
        assert [await answer.read() for answer in answers] == [b"a"] * 5
        assert client._pool.idle == 2
        await server.until(lambda: server.open == 2)
        client._pool._idle_seconds = 0.05
        await server.until(lambda: server.open == 0)
        assert client._pool.idle == 0


async def test_the_last_connection_is_used_first(client: Http1Client) -> None:
    async with peer(says(whole(b"a"), keep=True)) as server:
        for answer in await asyncio.gather(*[client.send(call(server.url)) for _ in range(3)]):
            await answer.read()
        for _ in range(4):
            await (await client.send(call(server.url))).read()
        assert len({request.connection for request in server.requests[-4:]}) == 1
        assert server.accepted == 3


async def test_a_kept_connection_that_died_unseen_costs_one_second_try(client: Http1Client) -> None:
    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if len(server.requests) == 2:
            return False
        writer.write(whole(b"a"))
        return True

    async with peer(answering) as server:
        for _ in range(2):
            assert await (await client.send(call(server.url))).read() == b"a"
        assert [request.connection for request in server.requests] == [1, 1, 2]


@pytest.mark.parametrize("first", [b"H", OK, b""])
async def test_no_second_try_after_a_byte_or_on_a_fresh_connection(client: Http1Client, first: bytes) -> None:
    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if len(server.requests) == 1 and first:
            writer.write(whole(b"a"))
            return True
        writer.write(first)
        return False

    async with peer(answering) as server:
        if first:
            await (await client.send(call(server.url))).read()
        with pytest.raises(CallError) as caught:
            await client.send(call(server.url))
        assert caught.value.kind == "cut"
        assert len(server.requests) == (2 if first else 1)


async def test_no_second_try_once_a_server_had_time_to_do_the_work(
    client: Http1Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "STALE_SECONDS", 0.0)

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if len(server.requests) > 1:
            return False
        writer.write(whole(b"a"))
        return True

    async with peer(answering) as server:
        await (await client.send(call(server.url))).read()
        with pytest.raises(CallError):
            await client.send(call(server.url))
        assert len(server.requests) == 2


async def test_a_compressed_body_is_refused(client: Http1Client) -> None:
    async with peer(says(whole(b"xx", b"Content-Encoding: gzip"))) as server:
        with pytest.raises(CallError) as caught:
            await client.send(call(server.url))
        assert caught.value.kind == "cut"


async def test_the_environment_names_no_proxy(client: Http1Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with peer(says(whole(b"direct"))) as server:
        assert await (await client.send(call(server.url))).read() == b"direct"


async def test_chunks_that_arrived_together_are_one_piece(client: Http1Client) -> None:
    async with peer(says(chunked(b"a", b"b", b"c"))) as server:
        answer = await client.send(call(server.url))
        await server.until(lambda: client._pool.idle == 1 or len(client._pool) == 0)
        assert [chunk async for chunk in answer.chunks()] == [b"abc"]


async def test_pieces_before_a_cut_are_delivered(client: Http1Client) -> None:
    async with peer(says(chunked(b"one", b"two")[:-5])) as server:
        answer = await client.send(call(server.url))
        got: list[bytes] = []
        with pytest.raises(CallError):  # noqa: PT012 - what came before is looked at
            async for chunk in answer.chunks():
                got.append(chunk)  # noqa: PERF401
        assert b"".join(got) == b"onetwo"


async def test_a_verified_certificate_is_accepted_and_another_name_is_not(
    client: Http1Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    protocols: list[str | None] = []

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.write(whole(b"trusted"))
        return True

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http1._tls.cache_clear()
    try:
        async with peer(answering, tls=context, name="localhost") as server:
            assert await (await client.send(call(server.url))).read() == b"trusted"
            assert protocols == ["http/1.1"]
            with pytest.raises(CallError) as caught:
                await client.send(call(server.url.replace("localhost", "127.0.0.1")))
            assert caught.value.kind == "tls"
    finally:
        http1._tls.cache_clear()


async def test_a_call_that_is_cancelled_anywhere_leaves_no_connection_in_use(client: Http1Client) -> None:
    dice = random.Random(7)

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for piece in (OK, b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"):
            writer.write(piece)
            await asyncio.sleep(dice.random() / 200)
        return True

    async def one(url: str) -> bytes:
        answer = await client.send(call(url))
        return b"".join([chunk async for chunk in answer.chunks()])

    async with peer(answering) as server:
        for _ in range(150):
            task = asyncio.create_task(one(server.url))
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(dice.choice([0, 0, 0.002]))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await task == b"ab"
            assert client._pool.idle <= 1
            await server.until(lambda: len(client._pool) == client._pool.idle)
        await client.close()
        await server.until(lambda: server.open == 0)


async def test_close_drops_calls_under_way_and_is_final(client: Http1Client) -> None:
    async with peer(says(hold=True)) as server:
        waiting = asyncio.create_task(client.send(call(server.url)))
        await server.until(lambda: len(server.requests) == 1)
        await client.close()
        with pytest.raises(CallError):
            await waiting
        with pytest.raises(CallError):
            await client.send(call(server.url))
        await server.until(lambda: server.open == 0)


async def test_no_answer_reaches_another_request(client: Http1Client) -> None:
    dice = random.Random(11)

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = request.header("x-request-id").encode() * dice.randrange(1, 300)
        raw = whole(body) if dice.random() < 0.5 else chunked(body[:7], body[7:] or b"!")
        fate = dice.random()
        if fate < 0.05:
            return False
        if fate < 0.1:
            writer.write(raw[: dice.randrange(len(raw))])
            return False
        if fate < 0.15:
            writer.write(raw + whole(b"SMUGGLED"))
            return True
        place = dice.randrange(len(raw))
        writer.write(raw[:place])
        if dice.random() < 0.3:
            await asyncio.sleep(0)
        writer.write(raw[place:])
        return fate < 0.9

    outcomes = {"whole": 0, "cut": 0}
    numbers = iter(range(2000))

    async def worker(url: str) -> None:
        for number in numbers:
            name = f"<{number}>"
            try:
                answer = await client.send(call(url, headers=(("x-request-id", name),)))
                body = await answer.read()
            except CallError as fault:
                outcomes[fault.kind] += 1
                continue
            assert body.rstrip(b"!").replace(name.encode(), b"") == b""
            assert body
            outcomes["whole"] += 1

    async with peer(answering) as server:
        await asyncio.gather(*[worker(server.url) for _ in range(32)])
        assert sum(outcomes.values()) == 2000
        assert outcomes["whole"] > 1500
        assert outcomes["cut"] > 20
        assert server.accepted < 1000


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([whole(b"hello", b"A: b"), chunked(b"hel", b"lo", trailer=b"T: u\r\n")]), st.data())
async def test_a_mutated_answer_never_poisons_a_connection(
    client: Http1Client, raw: bytes, data: st.DataObject
) -> None:
    sent = raw
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(sent)))
        piece = data.draw(
            st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"0", b"f", b"-", raw, b"\r\n\r\n"])
        )
        sent = sent[:place] + piece + sent[place + data.draw(st.integers(0, 2)) :]
    place = data.draw(st.integers(0, len(sent)))

    async def answering(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if len(server.requests) > 1:
            writer.write(whole(b"next"))
            return True
        writer.write(sent[:place])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(sent[place:])
        # An answer that waits for more bytes is given up by the client; one that is whole is not waited for.
        await asyncio.sleep(0.01)
        return True

    async with peer(answering) as server:
        with contextlib.suppress(CallError):
            await (await client.send(call(server.url, silence=0.2))).read()
        if server.requests:
            assert await (await client.send(call(server.url))).read() == b"next"

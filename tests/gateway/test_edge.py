# SPDX-License-Identifier: Apache-2.0
"""Hostile and half-made requests on raw sockets: each gets one clear answer or a closed connection, in bounded memory."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from apps.core.limits import HEAD_SECONDS, MAX_HEAD_BYTES
from tests.gateway.conftest import House, Server, eventually, open_desk
from tests.gateway.desk import Desk
from tests.upstreams.running import Upstream

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
REQUEST_ID = re.compile(rb"\r\nx-request-id: req_[0-9a-f]{32}(\r\n|$)")
MB = 1024 * 1024


@pytest.fixture(autouse=True)
def still_sound(house: House) -> Iterator[None]:
    """After each test: no traceback was written, and the next client is served."""
    before = len(house.server.said())
    yield
    assert house.server.client.get("/healthz").status_code == 200
    assert "Traceback" not in house.server.said()[before:]


@pytest.fixture(scope="module")
def booth(house: House, upstream: Upstream) -> Iterator[Desk]:
    """One organisation for all tests here."""
    found = open_desk(house, upstream)
    yield found
    found.close()


@contextmanager
def connected(house: House) -> Iterator[socket.socket]:
    """A connection whose reads give up after a minute."""
    with closing(socket.create_connection(("127.0.0.1", house.server.port), timeout=60)) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


def send(connection: socket.socket, data: bytes) -> None:
    """Send as much as the server takes."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)


def status(answer: bytes) -> int:
    """The status of the one answer in some bytes."""
    (only,) = statuses(answer)
    return only


def statuses(answer: bytes) -> list[int]:
    """The status of every answer in some bytes."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


def memory(server: Server) -> int:
    """Resident bytes of the process."""
    line = next(
        line
        for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def chat_head(desk: Desk, length: int, *more: str) -> bytes:
    lines = [f"authorization: Bearer {desk.world.secret}", "content-type: application/json", *more]
    if length >= 0:
        lines.append(f"content-length: {length}")
    return ("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


def chat_body(model: str = "plain", **fields: object) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}).encode()


def test_50_mb_of_headers(house: House) -> None:
    before = memory(house.server)
    with connected(house) as connection:
        send(connection, b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        for number in range(50):
            send(connection, b"x-%d: " % number + b"a" * MB + b"\r\n")
        answer = rest(connection)

    assert not answer or status(answer) == 431
    assert memory(house.server) - before < 20 * MB


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
        + b"".join(b"x-%d: a\r\n" % number for number in range(10_000))
        + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"GET /" + b"a" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"b" * (MAX_HEAD_BYTES + 1),
    ],
    ids=["10k headers", "one long header", "a long address", "a long name"],
)
def test_heads_past_the_bound(house: House, head: bytes) -> None:
    with connected(house) as connection:
        send(connection, head)
        answer = rest(connection)

    assert status(answer) == 431
    assert b'"code":"headers_too_large"' in answer
    assert REQUEST_ID.search(answer)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n: empty\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx : space\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\rb\r\n\r\n",
        b"GET /heal thz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\nhost: x\n\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz\n",
        b"GET /healthz\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n",
    ],
    ids=range(24),
)
def test_what_is_no_request_gets_one_answer_and_a_close(house: House, request_: bytes) -> None:
    with connected(house) as connection:
        send(connection, request_ + HEALTH)
        answer = rest(connection)

    # Nothing that was smuggled behind it is answered.
    assert len(statuses(answer)) <= 1
    assert not answer or status(answer) in {400, 401, 404, 405}
    assert not answer or REQUEST_ID.search(answer.partition(b"\r\n\r\n")[0])
    assert b'"status": "alive"' not in answer


def test_a_head_that_never_ends_is_closed_with_a_reason(house: House) -> None:
    with connected(house) as connection:
        send(connection, b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        answer = rest(connection)

    assert status(answer) == 408
    assert f"within {HEAD_SECONDS:.0f} s" in answer.decode()
    assert REQUEST_ID.search(answer)


def test_a_head_that_drips_gets_no_more_time(house: House) -> None:
    with connected(house) as connection:
        connection.settimeout(0.2)
        answer = b""
        with suppress(ConnectionResetError, BrokenPipeError):
            for number in range(1000):
                connection.sendall(b"GET /healthz HTTP/1.1\r\n" if number == 0 else b"x-%d: a\r\n" % number)
                with suppress(TimeoutError):
                    answer += connection.recv(65536)
                    break

    assert status(answer) == 408


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_closed(house: House) -> None:
    with connected(house) as connection:
        assert rest(connection) == b""


@pytest.mark.slow
def test_a_body_that_never_comes_is_given_up(house: House, booth: Desk) -> None:
    with connected(house) as connection:
        connection.settimeout(100)
        send(connection, chat_head(booth, 1000) + b'{"model"')
        answer = rest(connection)

    assert status(answer) == 408
    assert b'"code":"request_timeout"' in answer


def test_a_client_that_leaves_in_its_body_leaves_nothing_behind(house: House, booth: Desk) -> None:
    before = len(booth.records())
    with connected(house) as connection:
        send(connection, chat_head(booth, 1000) + b'{"model"')

    booth.chat(text="the next one")
    assert len(booth.records()) == before + 1


def test_expect_100_is_answered_when_the_body_is_wanted(house: House, booth: Desk) -> None:
    body = chat_body()
    with connected(house) as connection:
        send(connection, chat_head(booth, len(body), "expect: 100-continue", "connection: close"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        send(connection, body)
        answer = rest(connection)

    assert status(answer) == 200


def test_a_body_in_chunks_is_read(house: House, booth: Desk) -> None:
    body = chat_body()
    with connected(house) as connection:
        send(connection, chat_head(booth, -1, "transfer-encoding: chunked", "connection: close"))
        for at in range(0, len(body), 10):
            send(connection, b"%x\r\n%b\r\n" % (len(body[at : at + 10]), body[at : at + 10]))
        send(connection, b"0\r\n\r\n")
        answer = rest(connection)

    assert status(answer) == 200


def test_pipelined_requests_are_answered_in_order(house: House, booth: Desk) -> None:
    body = chat_body()
    with connected(house) as connection:
        send(
            connection,
            HEALTH
            + chat_head(booth, len(body))
            + body
            + b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        )
        answer = rest(connection)

    assert statuses(answer) == [200, 200, 404]


def test_http_1_0_gets_its_answer_and_a_close(house: House, booth: Desk) -> None:
    body = chat_body()
    with connected(house) as connection:
        send(connection, chat_head(booth, len(body)).replace(b"HTTP/1.1", b"HTTP/1.0") + body)
        answer = rest(connection)

    assert status(answer) == 200
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["object"] == "chat.completion"


def test_a_websocket_is_refused(house: House) -> None:
    with connected(house) as connection:
        upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        send(connection, b"GET /v1/realtime HTTP/1.1\r\nhost: x\r\n" + upgrade)
        answer = rest(connection)

    assert 400 <= status(answer) < 500


def test_a_head_in_one_byte_pieces_is_read(house: House) -> None:
    with connected(house) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEALTH:
            connection.sendall(bytes([byte]))
        assert b"alive" in connection.recv(65536)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_client_that_never_reads_is_bounded_and_then_cut(house: House, booth: Desk) -> None:
    model = booth.scripted("endless=1")
    body = chat_body(model, stream=True, temperature=1)
    before, grown = memory(house.server), [0]
    with connected(house) as connection:
        send(connection, chat_head(booth, len(body)) + body)

        def cut() -> bool:
            grown.append(memory(house.server) - before)
            return any(call["model"] == "endless=1" for call in booth.calls())

        eventually(cut, 200)

    assert max(grown) < 50 * MB
    record = next(row for row in booth.records() if row.get("upstream_model") == "endless=1")
    assert record["error_code"] == "client_closed"


def test_forwarding_headers_of_strangers_are_not_believed(booth: Desk) -> None:
    answer: httpx.Response = booth.chat(
        headers={"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    )

    assert booth.record(answer)["client_ip"] == "127.0.0.1"


def test_browsers_get_no_permission_unless_it_is_set_up(booth: Desk) -> None:
    answer = booth.chat(headers={"origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers

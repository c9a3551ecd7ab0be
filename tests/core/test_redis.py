# SPDX-License-Identifier: Apache-2.0
"""The hot path's Redis client: one write per tick, answers in order, and honest failures when the server is not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import hiredis
import pytest
import redis as blocking

from apps.core import limits
from apps.core.redis import Redis, RedisDown, Script

ADD = Script("return tonumber(ARGV[1]) + tonumber(ARGV[2])")


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """A client that is up."""
    found = Redis(redis_url, scripts=(ADD,))
    assert await found.start()
    yield found
    await found.stop()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


class Peer(asyncio.Protocol):
    """A server that answers each command by a script of bytes, and keeps what it was asked."""

    def __init__(self, answer: Callable[[list[bytes]], bytes | None], peers: "list[Peer]") -> None:
        self._answer, self._reader = answer, hiredis.Reader()
        self.transport: Any = None
        self.open = False
        peers.append(self)

    def connection_made(self, transport: Any) -> None:
        self.transport, self.open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            answer = self._answer(command)
            if answer is not None:
                self.transport.write(answer)


async def serve(
    answer: Callable[[list[bytes]], bytes | None], peers: list[Peer]
) -> tuple[asyncio.Server, str]:
    server = await asyncio.get_running_loop().create_server(lambda: Peer(answer, peers), "127.0.0.1", 0)
    return server, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_commands_of_one_tick_are_one_write(client: Redis) -> None:
    before = client.batches

    answers = await asyncio.gather(*(client.command("INCR", "n") for _ in range(500)))

    assert answers == list(range(1, 501))
    assert client.batches - before == 1


async def test_answers_find_their_questions(client: Redis) -> None:
    async def one(number: int) -> bool:
        await asyncio.sleep(0)
        await client.command("SET", f"k{number}", number)
        found = await client.command("GET", f"k{number}")
        return bool(found == b"%d" % number)

    assert all(await asyncio.gather(*(one(number) for number in range(300))))


async def test_an_error_belongs_to_its_own_command(client: Redis) -> None:
    good, bad, last = client.command("SET", "s", "x"), client.command("INCR", "s"), client.command("GET", "s")

    assert await good == b"OK"
    with pytest.raises(hiredis.ReplyError):
        await bad
    assert await last == b"x"


async def test_a_cancelled_question_does_not_shift_the_answers(client: Redis) -> None:
    first = client.command("ECHO", "first")
    first.cancel()

    assert await client.command("ECHO", "second") == b"second"


async def test_bytes_of_any_kind_and_size_come_back(client: Redis) -> None:
    value = bytes(range(256)) * 4096

    await client.command("SET", "blob\r\n", value)

    assert await client.command("GET", "blob\r\n") == value


async def test_a_script_the_server_forgot_is_sent_again(client: Redis) -> None:
    first = await client.script(ADD, (), (1, 2))
    await client.command("SCRIPT", "FLUSH")

    assert (first, await client.script(ADD, (), (3, 4))) == (3, 7)


async def test_a_lost_connection_fails_what_waits_and_comes_back(client: Redis, redis_url: str) -> None:
    ups: list[int] = []
    client.on_up = lambda: ups.append(1)
    waiting = client.command("BLPOP", "never", 0)
    await asyncio.sleep(0.05)

    with blocking.Redis.from_url(redis_url) as other:
        await asyncio.to_thread(other.execute_command, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    with pytest.raises(RedisDown):
        await waiting
    await eventually(lambda: client.up)
    assert ups == [1]
    assert await client.command("PING") == b"PONG"


async def test_without_a_server_commands_fail_at_once() -> None:
    client = Redis("redis://127.0.0.1:1")

    started = await client.start()
    before = client.command("PING")

    assert not started
    assert before.done()
    with pytest.raises(RedisDown):
        await before
    await client.stop()


async def test_a_server_that_falls_silent_is_given_up() -> None:
    peers: list[Peer] = []
    server, url = await serve(lambda command: b"+PONG\r\n" if command == [b"PING"] else None, peers)
    client = Redis(url)
    await client.start()

    with pytest.raises(RedisDown):
        await client.command("GET", "x")

    await eventually(lambda: len(peers) > 1 and client.up)
    await client.stop()
    server.close()


@pytest.mark.parametrize("word", ["LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF"])
async def test_a_server_that_cannot_serve_is_as_good_as_none(word: str) -> None:
    peers: list[Peer] = []
    server, url = await serve(
        lambda command: b"+PONG\r\n" if command == [b"PING"] else f"-{word} wait\r\n".encode(), peers
    )
    client = Redis(url)
    await client.start()

    with pytest.raises(RedisDown):
        await client.command("GET", "x")
    await client.stop()
    server.close()


async def test_tries_that_fail_leave_no_connection_open_and_do_not_disturb_a_later_one() -> None:
    peers: list[Peer] = []
    loading = True

    def answer(command: list[bytes]) -> bytes:
        return b"-LOADING wait\r\n" if loading else b"+PONG\r\n"

    server, url = await serve(answer, peers)
    client = Redis(url)
    assert not await client.start()
    await eventually(lambda: len(peers) >= 3)
    loading = False

    await eventually(lambda: client.up)
    await eventually(lambda: [peer.open for peer in peers].count(True) == 1)

    assert await client.command("PING") == b"PONG"
    await client.stop()
    server.close()


async def test_what_waits_is_bounded() -> None:
    peers: list[Peer] = []
    server, url = await serve(lambda command: b"+PONG\r\n" if command == [b"PING"] else None, peers)
    client = Redis(url)
    await client.start()

    waiting = [client.command("GET", "x") for _ in range(limits.MAX_REDIS_PENDING)]
    one_more = client.command("GET", "x")

    assert one_more.done()
    assert not any(future.done() for future in waiting)
    await client.stop()
    found = await asyncio.gather(*waiting, one_more, return_exceptions=True)
    assert all(isinstance(fault, RedisDown) for fault in found)
    server.close()


async def test_messages_of_a_channel_arrive_also_after_a_reconnect(redis_url: str) -> None:
    heard: list[bytes] = []
    ups: list[int] = []
    client = Redis(redis_url, channel="news", on_message=heard.append)
    client.on_up = lambda: ups.append(1)
    await client.start()
    await eventually(lambda: len(ups) == 1)

    with blocking.Redis.from_url(redis_url) as other:
        await asyncio.to_thread(other.publish, "news", "one")
        await eventually(lambda: heard == [b"one"])
        await asyncio.to_thread(other.execute_command, "CLIENT", "KILL", "TYPE", "pubsub")
        await eventually(lambda: len(ups) == 2)
        await asyncio.to_thread(other.publish, "news", b"two\r\n\xff")
        await eventually(lambda: heard == [b"one", b"two\r\n\xff"])
    await client.stop()


async def test_a_wrong_password_is_no_connection_and_is_not_shown(redis_url: str) -> None:
    wrong = redis_url.replace("redis://:", "redis://:wrong", 1)
    client = Redis(wrong)

    assert not await client.start()
    assert "wrong" not in repr(client)
    await client.stop()

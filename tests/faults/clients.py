# SPDX-License-Identifier: Apache-2.0
"""32 clients that ask one question after the other, and their own log of what they saw."""

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.faults.installation import PATIENCE, Office

AT_ONCE = 32
# After a refusal, or where nobody listens.
PAUSE = 0.2


@dataclass(slots=True)
class Asked:
    """One question as its client saw it: `whole` once every byte of the answer came, `cost` by the answer's usage."""

    key: str
    id: str = ""
    status: int = 0
    whole: bool = False
    cost: int = 0


@dataclass
class Clients:
    """Half of them use the key with a hard budget, half the other; every second question asks for a stream."""

    url: str
    office: Office
    log: list[Asked] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def answered(self, key: str = "", status: int = 200) -> int:
        """How many answers came whole so far, of one key or of both."""
        return sum(one.whole and one.status == status and key in {"", one.key} for one in list(self.log))

    @contextmanager
    def asking(self) -> Iterator["Clients"]:
        """All clients ask until the block ends; the questions under way then get their answers."""
        faults: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._all())
            except BaseException as fault:  # noqa: BLE001 - raised again below
                faults.append(fault)

        thread = threading.Thread(target=run, name="clients")
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join()
        assert not faults, faults

    async def _all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(self.url, connector=connector, timeout=timeout) as client:
            keys = ("hard", "counted") * (AT_ONCE // 2)
            await asyncio.gather(*(self._one(client, key) for key in keys))

    async def _one(self, client: aiohttp.ClientSession, key: str) -> None:
        while not self._stopped.is_set():
            asked = Asked(key)
            try:
                await self._ask(client, asked)
                self.log.append(asked)
            except aiohttp.ClientConnectorError:
                # Nobody listens: nothing was asked.
                pass
            except (aiohttp.ClientError, TimeoutError):
                self.log.append(asked)
            if not (asked.whole and asked.status == 200):
                await asyncio.sleep(PAUSE)

    async def _ask(self, client: aiohttp.ClientSession, asked: Asked) -> None:
        number = next(self._numbers)
        body: dict[str, Any] = {
            "model": "busy",
            "messages": [{"role": "user", "content": f"Question {number}"}],
        }
        if number % 2:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {self.office.secrets[asked.key]}"}
        async with client.post("/v1/chat/completions", json=body, headers=headers) as answer:
            asked.id, asked.status = answer.headers["x-request-id"], answer.status
            raw = await answer.read()
        asked.whole, asked.cost = _read(raw, stream="text/event-stream" in answer.headers["content-type"])


def _read(raw: bytes, *, stream: bool) -> tuple[bool, int]:
    """Whether an answer is whole, and what it cost in micro-dollars at the model's rates."""
    if not stream:
        return True, _cost(json.loads(raw))
    events = [line[6:] for line in raw.splitlines() if line.startswith(b"data: ")]
    if not events or events[-1] != b"[DONE]":
        return False, 0
    return True, sum(_cost(json.loads(event)) for event in events[:-1])


def _cost(answer: dict[str, Any]) -> int:
    usage = answer.get("usage") or {"prompt_tokens": 0, "completion_tokens": 0}
    return int(usage["prompt_tokens"]) + 2 * int(usage["completion_tokens"])

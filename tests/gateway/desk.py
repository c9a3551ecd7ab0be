# SPDX-License-Identifier: Apache-2.0
"""One organisation's place at a shared gateway: its clients, its models, its records."""

import json
import secrets
import time
from typing import Any, Protocol

import httpx
import openai

from apps.core import ids
from tests.gateway.world import World
from tests.upstreams.running import Upstream

PATIENCE = 60.0


class Gateway(Protocol):
    """What a desk needs of a gateway process."""

    @property
    def url(self) -> str:
        """Where it listens."""

    def said(self) -> str:
        """What it wrote to its output."""

    def records(self) -> list[dict[str, Any]]:
        """Its finished records."""


class Desk:
    """Dana Whitfield's organisation: publish in `world`, then `sync`, then talk."""

    def __init__(self, server: Gateway, world: World, upstream: Upstream) -> None:
        self.server, self.world, self.upstream = server, world, upstream
        self.client = self.as_key(world.secret)
        # For a second key, made by the test that needs one.
        self.second = "sk-sf-" + secrets.token_hex(24)

    def as_key(self, secret: str) -> httpx.Client:
        """A client with a key."""
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=PATIENCE)

    def openai(self, **more: Any) -> openai.OpenAI:
        """The official client."""
        fixed = {"base_url": f"{self.server.url}/v1", "api_key": self.world.secret, "max_retries": 0}
        return openai.OpenAI(**(fixed | more))

    def sync(self) -> "Desk":
        """Wait until the gateway has seen every edit made so far: edits come in order, the last one is a mark."""
        mark = self.world.add_model(f"mark-{ids.new('mdl')}")
        deadline = time.monotonic() + PATIENCE
        while mark.name not in self.client.get("/v1/models").text:
            assert time.monotonic() < deadline, "the gateway does not see the edit"
            time.sleep(0.01)
        self.world.drop("models", mark.id)
        return self

    def scripted(self, script: str, *, fallback: str = "") -> str:
        """A model whose upstream behaves by a script."""
        name = self.world.scripted(script, fallback=fallback)
        self.sync()
        return name

    def chat(
        self, model: str = "plain", text: str = "Hello", headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """One chat; with `stream=True` the whole stream is read."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)

    def post(self, content: bytes, **headers: str) -> httpx.Response:
        """A body as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            "/v1/chat/completions", content=content, headers={"content-type": "application/json"} | named
        )

    def records(self) -> list[dict[str, Any]]:
        """The finished records of this organisation."""
        return [row for row in self.server.records() if row.get("organisation_id") == self.world.org]

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        """The record of an answer."""
        return next(row for row in self.records() if row["id"] == answer.headers["x-request-id"])

    def calls(self) -> list[dict[str, Any]]:
        """What the upstream's own log says of this organisation's requests."""
        mine = {row["id"] for row in self.records()}
        return [line for line in self.upstream.lines() if line["request_id"] in mine]

    def close(self) -> None:
        """Close the clients."""
        self.client.close()
        self.world.client.close()


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The JSON events of a stream, without its end mark."""
    found = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in found if line != "[DONE]"]


def text_of(answer: httpx.Response, index: int = 0) -> str:
    """The text of one choice, of an answer in either form."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        choices = [choice for event in events(answer) for choice in event.get("choices", ())]
        return "".join(c["delta"].get("content") or "" for c in choices if c["index"] == index)
    found: str = answer.json()["choices"][index]["message"]["content"]
    return found

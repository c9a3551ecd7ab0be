# SPDX-License-Identifier: Apache-2.0
"""The upstream does what it is told; a fault test that rests on it must be able to trust it."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.upstreams.certificates import self_signed
from tests.upstreams.running import Upstream, running
from tests.upstreams.script import GREETING, ScriptError, parse, script_of


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with running(tmp_path_factory.mktemp("upstream") / "upstream.log") as found:
        yield found


@pytest.fixture
def client(upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=upstream.url, api_key="none", max_retries=0) as found:
        yield found


def ask(model: str, content: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


def post(upstream: Upstream, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{upstream.url}/chat/completions", json=body, headers=headers, timeout=20)


async def wait_for(condition: Any) -> None:
    for _ in range(500):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.02)
    pytest.fail("this did not come about within ten seconds")


def test_official_client_gets_text_and_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ask("plain"))

    assert answer.choices[0].message.content == GREETING
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_official_client_streams_with_a_usage_chunk_only_if_asked(client: openai.OpenAI) -> None:
    def stream(**more: Any) -> tuple[str, list[Any]]:
        chunks = list(client.chat.completions.create(**ask("plain", stream=True, **more)))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        return text, [c.usage for c in chunks if c.usage]

    assert stream() == (GREETING, [])
    text, usage = stream(stream_options={"include_usage": True})
    assert text == GREETING
    assert len(usage) == 1


def test_a_directive_in_the_prompt_wins_over_the_model() -> None:
    script = script_of("status=500;gap=5", "please [[status=429;retry=7]]")

    assert (script.status, script.retry, script.gap) == (429, "7", 5.0)


def test_a_misspelt_directive_is_an_error_not_a_plain_answer(upstream: Upstream) -> None:
    with pytest.raises(ScriptError):
        parse("evnets=5")
    assert post(upstream, ask("evnets=5")).status_code == 404


def test_exact_number_of_events_split_text_and_choices(client: openai.OpenAI) -> None:
    def contents(model: str, **more: Any) -> list[tuple[int, str]]:
        chunks = client.chat.completions.create(**ask(model, stream=True, **more))
        return [(c.index, c.delta.content) for k in chunks for c in k.choices if c.delta.content]

    assert contents("events=50") == [(0, f"word{n} ") for n in range(50)]
    assert contents("text=4111%201111;split=4") == [(0, "4111"), (0, " 111"), (0, "1")]
    assert {index for index, _ in contents("plain", n=3)} == {0, 1, 2}


def test_echo_mirror_and_unknown_fields(upstream: Upstream) -> None:
    def content(model: str, text: str = "hello", **more: Any) -> str:
        found = post(upstream, ask(model, text, **more)).json()
        return str(found["choices"][0]["message"]["content"])

    assert content("plain", "say it [[echo]]") == "say it"
    assert json.loads(content("mirror=1", x_new={"a": 1}))["x_new"] == {"a": 1}
    assert post(upstream, ask("unknown=1")).json()["x_unknown"]["kept"] == [1, 2.5, "ünïcode"]


def test_tool_calls_in_both_forms(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**ask("tools=1")).choices[0]
    stream = client.chat.completions.create(**ask("tools=1", stream=True))
    deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]

    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls is not None
    arguments = "".join(call.function.arguments or "" for call in deltas if call.function)
    assert arguments == whole.message.tool_calls[0].function.arguments


def test_refusals_garbage_and_size(upstream: Upstream) -> None:
    limited = post(upstream, ask("status=429;retry=3"))
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    assert limited.json()["error"]["type"] == "rate_limit_error"
    assert post(upstream, ask("status=500")).status_code == 500
    with pytest.raises(json.JSONDecodeError):
        post(upstream, ask("garbage=1")).json()
    assert len(post(upstream, ask("size=100000")).content) > 100_000
    assert post(upstream, ask("chunked=1")).json() == post(upstream, ask("plain")).json() | {
        "model": "chunked=1",
        "usage": post(upstream, ask("chunked=1")).json()["usage"],
    }
    assert post(upstream, ask("close=1")).json()["choices"]


@pytest.mark.parametrize(
    "model", ["cut=0", "cut=0;reset=1", "raw=HTTP/1.1%20200%20OK%0D%0A", "chunked=1;cut=0"]
)
def test_a_cut_json_answer_is_no_answer(upstream: Upstream, model: str) -> None:
    with pytest.raises(httpx.TransportError):
        post(upstream, ask(model))


def test_a_cut_stream_has_the_events_before_the_cut(upstream: Upstream) -> None:
    lines: list[str] = []
    url = f"{upstream.url}/chat/completions"
    with (
        httpx.stream("POST", url, json=ask("cut=4", stream=True)) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        lines.extend(line for line in answer.iter_lines())
    assert sum(line.startswith("data:") for line in lines) == 4


def test_crlf_comments_and_drip_change_the_wire_not_the_meaning(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(**ask("crlf=1;comments=1;drip=3", stream=True))

    assert "".join(c.choices[0].delta.content or "" for c in chunks) == GREETING


async def test_the_log_is_an_oracle(upstream: Upstream) -> None:
    post(upstream, ask("plain"), **{"x-request-id": "req-whole"})
    with pytest.raises(httpx.TransportError):
        post(upstream, ask("cut=0"), **{"x-request-id": "req-cut"})
    async with (
        httpx.AsyncClient() as left,
        left.stream(
            "POST",
            f"{upstream.url}/chat/completions",
            json=ask("endless=1;gap=5", stream=True),
            headers={"x-request-id": "req-left"},
        ) as answer,
    ):
        await anext(answer.aiter_lines())

    def by_id() -> dict[str, dict[str, Any]]:
        return {line["request_id"]: line for line in upstream.lines()}

    await wait_for(lambda: "req-left" in by_id())
    found = by_id()
    assert (found["req-whole"]["completed"], found["req-cut"]["completed"]) == (True, False)
    assert found["req-left"]["completed"] is False
    assert found["req-left"]["events"] > 0


async def test_open_connections_are_counted_and_an_endless_stream_waits_for_its_reader(
    upstream: Upstream,
) -> None:
    before = upstream.stats()["connections"]
    body = json.dumps(ask("endless=1", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", upstream.port)) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        await wait_for(lambda: upstream.stats()["connections"] == before + 1)
        await wait_for(lambda: upstream.stats()["answering"] == 1)
        # A server that ignored its reader would by now have written without end.
        await asyncio.sleep(0.5)
        status = Path(f"/proc/{upstream.pid}/status").read_text()
        assert int(status.partition("VmRSS:")[2].split()[0]) < 200_000
    await wait_for(lambda: upstream.stats()["connections"] == before)
    await wait_for(lambda: upstream.stats()["answering"] == 0)


def test_tls(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    with running(tmp_path / "log", tls=tls) as secure:
        trusting = ssl.create_default_context(cafile=str(tls[0]))
        answer = httpx.get(f"https://localhost:{secure.port}/v1/models", verify=trusting)
    assert answer.json()["object"] == "list"

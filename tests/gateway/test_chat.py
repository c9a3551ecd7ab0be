# SPDX-License-Identifier: Apache-2.0
"""Chats as the official client and httpx have them, under both servers: what comes back, and what the record says."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from tests.gateway.conftest import open_desk
from tests.gateway.desk import Desk, events, text_of
from tests.upstreams.running import Upstream
from tests.upstreams.script import GREETING

MESSAGES: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(params=["house", "daphne_house"])
def desk(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[Desk]:
    """Dana's organisation under uvicorn with our guard, and under daphne."""
    found = open_desk(request.getfixturevalue(request.param), upstream)
    yield found
    found.close()


def test_official_client_gets_an_answer(desk: Desk) -> None:
    with desk.openai() as client:
        answer = client.chat.completions.create(model="plain", messages=MESSAGES)

    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_official_client_streams(desk: Desk) -> None:
    with desk.openai() as client:
        chunks = list(client.chat.completions.create(model="plain", messages=MESSAGES, stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GREETING
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_official_client_gets_a_usage_chunk_it_asked_for(desk: Desk) -> None:
    with desk.openai() as client:
        stream = client.chat.completions.create(
            model="plain", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        *_, last = list(stream)

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 16
    assert last.model_extra is not None
    assert Decimal(last.model_extra["smartflow"]["cost"]) > 0


async def test_async_client_has_both_forms(desk: Desk) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{desk.server.url}/v1", api_key=desk.world.secret, max_retries=0
    ) as client:
        whole = await client.chat.completions.create(model="plain", messages=MESSAGES, temperature=1)
        stream = await client.chat.completions.create(
            model="plain", messages=MESSAGES, temperature=1, stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert whole.choices[0].message.content == "".join(pieces) == GREETING


def test_tool_calls_pass_in_both_forms(desk: Desk) -> None:
    model = desk.scripted("tools=1")
    tools: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]

    with desk.openai() as client:
        whole = client.chat.completions.create(model=model, messages=MESSAGES, tools=tools)
        chunks = list(
            client.chat.completions.create(model=model, messages=MESSAGES, tools=tools, stream=True)
        )

    calls: Any = whole.choices[0].message.tool_calls
    deltas: list[Any] = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.arguments == '{"town": "Bern"}'
    assert "".join(delta.function.arguments for delta in deltas) == '{"town": "Bern"}'
    assert [delta.id for delta in deltas if delta.id] == ["call_upstream"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
def test_every_choice_arrives(desk: Desk, stream: bool) -> None:
    answer = desk.chat(n=3, stream=stream)

    assert [text_of(answer, index) for index in range(3)] == [GREETING] * 3


def test_unknown_fields_reach_the_provider(desk: Desk) -> None:
    model = desk.scripted("mirror=1")

    seen = text_of(desk.chat(model, x_house_style={"tone": ["plain", 2.5, None]}, seed=7))

    assert '"x_house_style":{"tone":["plain",2.5,null]}' in seen
    assert '"seed":7' in seen


def test_unknown_fields_come_back_as_they_were_sent(desk: Desk) -> None:
    model = desk.scripted("unknown=1")

    answer = desk.chat(model)

    assert '"x_unknown": {"kept": [1, 2.5, "ünïcode"]}' in answer.text
    assert all(
        event["x_unknown"] == {"kept": True} for event in events(desk.chat(model, stream=True, temperature=1))
    )


def test_provider_sees_its_own_name_of_the_model_and_no_key(desk: Desk) -> None:
    model = desk.scripted("heads=1")

    seen = text_of(desk.chat(model))

    assert desk.world.secret not in seen
    assert "authorization" not in seen
    assert [call["model"] for call in desk.calls()] == ["heads=1"]


def test_streams_ask_the_provider_for_usage_though_the_client_did_not(desk: Desk) -> None:
    answer = desk.chat(stream=True)

    assert all("usage" not in event for event in events(answer))
    assert answer.text.endswith("data: [DONE]\n\n")
    assert desk.record(answer)["usage_source"] == "provider"


def test_models_lists_the_default_first(desk: Desk) -> None:
    desk.world.add_model("aspen")
    desk.world.add_model("willow", default=True)
    desk.sync()

    with desk.openai() as client:
        names = [model.id for model in client.models.list().data if not model.id.startswith("mark-")]

    assert names == ["willow", "aspen", "plain"]


def test_models_lists_only_those_of_the_key(desk: Desk) -> None:
    desk.world.add_model("aspen-large")
    desk.world.add_model("birch", enabled=False)
    desk.world.add_key(desk.second, models=("aspen-*", "birch"))
    desk.sync()

    with desk.as_key(desk.second) as lena:
        assert [row["id"] for row in lena.get("/v1/models").json()["data"]] == ["aspen-large"]


def test_json_answers_carry_the_promised_headers(desk: Desk) -> None:
    headers = desk.chat().headers

    assert headers["x-request-id"].startswith("req_")
    assert headers["x-smartflow-target"] == "upstream/plain"
    assert headers["x-smartflow-model"] == "plain"
    assert headers["x-smartflow-cache-hit"] == "none"
    assert len(headers["x-smartflow-cache-key"]) == 64
    assert headers["x-smartflow-policy"] == "none"
    assert Decimal(headers["x-smartflow-cost"]) > 0
    assert float(headers["x-smartflow-overhead-ms"]) >= 0


def test_streams_carry_them_but_the_figures(desk: Desk) -> None:
    headers = desk.chat(stream=True).headers

    assert headers["content-type"] == "text/event-stream"
    assert headers["x-smartflow-target"] == "upstream/plain"
    assert "x-smartflow-cost" not in headers


def test_limits_are_told_in_headers(desk: Desk) -> None:
    from apps.keys.domain import Budget

    secret = desk.second
    desk.world.add_key(
        secret, requests_per_minute=10, budgets=(Budget(id="bgt_claims", name="Claims", limit=5_000_000),)
    )
    desk.sync()

    with desk.as_key(secret) as kofi:
        headers = kofi.post("/v1/chat/completions", json={"model": "plain", "messages": MESSAGES}).headers

    assert headers["x-ratelimit-limit-requests"] == "10"
    assert int(headers["x-ratelimit-remaining-requests"]) <= 9
    assert headers["x-smartflow-budget"] == "Claims"
    assert headers["x-smartflow-budget-limit"] == "5.00"
    assert Decimal(headers["x-smartflow-budget-remaining"]) < 5


def test_errors_carry_a_request_id_and_openais_shape(desk: Desk) -> None:
    answer = desk.chat("nobody")

    assert answer.status_code == 404
    assert answer.headers["x-request-id"].startswith("req_")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    with desk.openai() as client, pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="nobody", messages=MESSAGES)
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_record_says_what_happened(desk: Desk, stream: bool) -> None:
    model = desk.scripted("usage=1000,500,200")

    answer = desk.chat(
        model,
        stream=stream,
        headers={
            "x-smartflow-tags": "claims, pilot",
            "x-smartflow-session-id": "s-1",
            "x-request-id": "mine",
        },
    )
    record = desk.record(answer)

    assert (record["state"], record["status"], record.get("verdict", "allowed")) == ("done", 200, "allowed")
    assert (record["person_name"], record["team_name"], record["assurance"]) == (
        "Dana Whitfield",
        "Claims",
        "verified",
    )
    assert (record["tags"], record["session_id"], record["client_request_id"]) == (
        ["claims", "pilot"],
        "s-1",
        "mine",
    )
    assert (record["model"], record["upstream_model"], record["provider"]) == (
        model,
        "usage=1000,500,200",
        "upstream",
    )
    assert (record["input_tokens"], record["output_tokens"], record["cached_tokens"]) == (1000, 500, 200)
    assert (record["usage_source"], record["price_version"]) == ("provider", "1")
    assert Decimal(record["cost"]) == Decimal("0.002")
    assert record["charged"] == 2000
    assert [(attempt["status"], attempt["outcome"]) for attempt in record["attempts"]] == [(200, "ok")]
    assert record["delivered_chars"] == len(GREETING)
    assert [stage[0] for stage in record["stages"]] == (
        ["identify", "inspect", "admit", "lookup", "plan", "send", "stream" if stream else "review"]
    )
    assert record["total_us"] >= record["upstream_us"] > 0


def test_record_names_a_provider_that_does_not_say_what_it_used(desk: Desk) -> None:
    model = desk.scripted("usage=none;text=0123456789")

    record = desk.record(desk.chat(model))

    assert record["usage_source"] == "estimated"
    assert record["output_tokens"] == 3
    assert record["charged"] > 0


def test_models_and_refusals_before_a_key_leave_no_record(desk: Desk) -> None:
    with desk.as_key("sk-sf-" + "0" * 48) as stranger:
        assert (
            stranger.post("/v1/chat/completions", json={"model": "plain", "messages": MESSAGES}).status_code
            == 401
        )

    assert desk.records() == []

# SPDX-License-Identifier: Apache-2.0
"""OpenAI's older text completions as the official client has them, in front of providers of every dialect."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion

from apps.core import ids
from apps.core.keyring import Purpose
from apps.policies.domain import Action, Phase
from tests.gateway.conftest import House, eventually
from tests.gateway.desk import Desk, events
from tests.upstreams.running import Upstream, running
from tests.upstreams.script import GREETING

CARD = "4111 1111 1111 1111"
CARDS = {"entities": ["CREDIT_CARD"]}
DIALECTS = ["openai", "anthropic", "gemini"]
NAMES = {"openai": "gpt-4.1", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
# Puts a model before a provider of a dialect; gives its name.
Model = Callable[[str], str]


@pytest.fixture(scope="session")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    """Strict providers of each dialect."""
    folder = tmp_path_factory.mktemp("completions")
    with (
        running(folder / "openai", strict=True, bodies=True) as one,
        running(folder / "anthropic", server="anthropic", bodies=True) as two,
        running(folder / "gemini", server="gemini", bodies=True) as three,
    ):
        yield {"openai": one, "anthropic": two, "gemini": three}


@pytest.fixture
def model(desk: Desk, house: House, providers: dict[str, Upstream]) -> Model:
    """Models before providers of each dialect."""

    def added(dialect: str) -> str:
        identity = ids.new("prv")
        sealed = base64.b64encode(house.ring.seal(Purpose.FIELD, b"secret", identity)).decode()
        url = providers[dialect].url
        provider = desk.world.add_provider(dialect, url, id=identity, dialect=dialect, credential=sealed)
        found = desk.world.add_model(f"m-{dialect}-{identity[-6:]}")
        desk.world.add_target(found, provider, NAMES[dialect])
        desk.sync()
        return found.name

    return added


def complete(desk: Desk, name: str = "plain", prompt: Any = "Hello", **more: Any) -> httpx.Response:
    """One text completion."""
    return desk.client.post("/v1/completions", json={"model": name, "prompt": prompt, **more})


def arrived(upstream: Upstream, request_id: str) -> Any:
    """What the provider got; its log is written after its answer went out."""
    found: list[Any] = []

    def logged() -> bool:
        found.extend(line["body"] for line in upstream.lines() if line["request_id"] == request_id)
        return bool(found)

    eventually(logged)
    return json.loads(found[0])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_official_client_gets_a_text(desk: Desk, model: Model, dialect: str) -> None:
    name = model(dialect)

    with desk.openai() as client:
        raw = client.completions.with_raw_response.create(model=name, prompt="Hello", max_tokens=50)

    answer = raw.parse()
    assert answer.object == "text_completion"
    assert [choice.text for choice in answer.choices] == [GREETING]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    record = next(row for row in desk.records() if row["id"] == raw.headers["x-request-id"])
    assert record["path"] == "/v1/completions"
    assert record["dialect"] == "openai-completions"
    assert record["finish_reason"] == "stop"
    assert record["usage_source"] == "provider"
    assert record["output_tokens"] == answer.usage.completion_tokens
    assert record["charged"] > 0


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("usage", [False, True])
def test_official_client_streams_a_text(desk: Desk, model: Model, dialect: str, usage: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if usage else {}
    name = model(dialect)

    with desk.openai() as client:
        chunks: list[Completion] = list(
            client.completions.create(model=name, prompt=["Hello"], max_tokens=50, stream=True, **more)
        )

    texts = [choice.text for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == GREETING
    assert len(texts) > 2
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"]
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - usage) + [True] * usage


def test_a_prompt_becomes_the_message_of_a_chat(
    desk: Desk, model: Model, providers: dict[str, Upstream]
) -> None:
    fields = {"stop": ["END"], "temperature": 0.5, "seed": 7, "n": 2, "best_of": 2, "user": "dana"}

    answer = complete(desk, model("openai"), **fields)

    body = arrived(providers["openai"], answer.headers["x-request-id"])
    assert body == {
        "model": NAMES["openai"],
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 16,
        "stop": ["END"],
        "temperature": 0.5,
        "seed": 7,
        "n": 2,
        "user": "dana",
    }
    assert [choice["index"] for choice in answer.json()["choices"]] == [0, 1]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("field", "value"), [("echo", True), ("suffix", "the end"), ("best_of", 3), ("logprobs", 2)]
)
def test_what_a_chat_does_not_have_is_refused_by_name(
    desk: Desk, model: Model, dialect: str, field: str, value: Any
) -> None:
    name = model(dialect)
    body = {"model": name, "prompt": "Hello", field: value}

    refused = desk.client.post("/v1/completions", json=body)
    dropped = desk.client.post("/v1/completions", json=body, headers={"x-smartflow-drop-params": "true"})

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == field
    assert refused.json()["error"]["code"] == "unsupported_field"
    assert dropped.status_code == 200
    assert dropped.headers["x-smartflow-dropped"].split(", ") == [field]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["One", "Two"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2, 3]]}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "messages"),
        ({"model": "nobody"}, "model"),
    ],
)
def test_what_is_no_completion_names_the_field(desk: Desk, fields: dict[str, Any], param: str) -> None:
    body = {"model": "plain", "prompt": "Hello", **fields}

    answer = desk.client.post("/v1/completions", json=body)

    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"] == param


def test_a_provider_that_cannot_do_it_names_the_clients_field(desk: Desk, model: Model) -> None:
    answer = complete(desk, model("anthropic"), n=2)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n"


@pytest.mark.parametrize("stream", [False, True])
def test_policies_read_and_rewrite_both_ways(
    desk: Desk, model: Model, providers: dict[str, Upstream], stream: bool
) -> None:
    desk.world.add_policy("Cards", "pii", CARDS, Action.REDACT, phases=(Phase.INPUT, Phase.OUTPUT))
    said = desk.scripted(f"text=Your card {CARD} is on file.")

    asked = complete(desk, model("openai"), [f"Pay with {CARD}"], stream=stream)
    answered = complete(desk, said, stream=stream)

    body = arrived(providers["openai"], asked.headers["x-request-id"])
    assert body["messages"][0]["content"] == "Pay with [CREDIT_CARD]"
    chunks = events(answered) if stream else [answered.json()]
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    assert text == "Your card [CREDIT_CARD] is on file."
    assert desk.record(answered)["verdict"] == "redacted"


def test_a_blocked_stream_ends_in_the_clients_form(desk: Desk) -> None:
    desk.world.add_policy("Cards", "pii", CARDS, Action.BLOCK, phases=(Phase.OUTPUT,))
    said = desk.scripted(f"text=Your card {CARD} is on file.")

    answer = complete(desk, said, stream=True)

    *before, last = events(answer)
    assert last["object"] == "text_completion"
    assert last["choices"][0]["finish_reason"] == "content_filter"
    assert last["smartflow"]["code"] == "policy_blocked"
    assert "1111" not in "".join(choice["text"] for event in before for choice in event["choices"])
    assert desk.record(answer)["verdict"] == "blocked"


def test_a_stored_text_is_not_a_chats(desk: Desk) -> None:
    first = complete(desk, max_tokens=50)
    eventually(lambda: complete(desk, max_tokens=50).headers["x-smartflow-cache-hit"] == "exact")

    streamed = complete(desk, max_tokens=50, stream=True)
    chat = desk.chat(max_completion_tokens=50)

    assert streamed.headers["x-smartflow-cache-hit"] == "exact"
    assert "".join(c["text"] for event in events(streamed) for c in event["choices"]) == GREETING
    assert first.json()["choices"][0]["text"] == GREETING
    assert chat.json()["object"] == "chat.completion"


def test_a_streamed_text_is_stored_whole(desk: Desk) -> None:
    complete(desk, stream=True)
    stored: list[httpx.Response] = []

    def found() -> bool:
        stored.append(complete(desk, stream=False))
        return stored[-1].headers["x-smartflow-cache-hit"] == "exact"

    eventually(found)

    answer = Completion.model_validate(stored[-1].json())
    assert answer.choices[0].text == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None


def test_errors_are_openais(desk: Desk) -> None:
    name = desk.scripted("status=429;retry=7")

    with desk.openai() as client, pytest.raises(openai.RateLimitError) as fault:
        client.completions.create(model=name, prompt="Hello")

    assert fault.value.response.headers["retry-after"] == "7"


def test_a_stream_that_breaks_ends_in_an_error(desk: Desk) -> None:
    answer = complete(desk, desk.scripted("cut=2"), stream=True)

    assert events(answer)[-1]["error"]["code"] == "upstream_error"
    assert desk.record(answer)["verdict"] == "failed"

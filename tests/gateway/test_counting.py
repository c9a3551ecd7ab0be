# SPDX-License-Identifier: Apache-2.0
"""Counting tokens as official clients ask for it: the provider's own count, or an estimate that says so; free, and governed."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import pytest
from google import genai

from apps.core import ids
from apps.core.keyring import Purpose
from apps.keys.domain import Budget, Window
from apps.policies.domain import Action, Phase
from tests.gateway.conftest import House, eventually
from tests.gateway.desk import Desk
from tests.upstreams.running import Upstream, running

CARD = "4111 1111 1111 1111"
CONTENTS: Any = [{"role": "user", "parts": [{"text": "Hello, how are you?"}]}]
MESSAGES: Any = [{"role": "user", "content": "Hello, how are you?"}]
CLAUDE, GEMINI = "claude-sonnet-4-5", "gemini-3-flash"
# Puts a model before a provider of a dialect; gives its name.
Model = Callable[[str], str]


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    """Providers that count."""
    folder = tmp_path_factory.mktemp("counting")
    with (
        running(folder / "anthropic", server="anthropic", bodies=True) as one,
        running(folder / "gemini", server="gemini", bodies=True) as other,
    ):
        yield {"anthropic": one, "gemini": other}


@pytest.fixture
def model(desk: Desk, house: House, others: dict[str, Upstream]) -> Model:
    """Models before providers of each dialect."""

    def added(dialect: str, script: str = "") -> str:
        identity = ids.new("prv")
        sealed = base64.b64encode(house.ring.seal(Purpose.FIELD, b"secret", identity)).decode()
        upstream = others.get(dialect, desk.upstream)
        provider = desk.world.add_provider(
            dialect, upstream.url, id=identity, dialect=dialect, credential=sealed
        )
        found = desk.world.add_model(f"m-{dialect}-{identity[-6:]}")
        names = {"anthropic": CLAUDE, "gemini": GEMINI}
        desk.world.add_target(found, provider, script or names.get(dialect, "plain"))
        desk.sync()
        return found.name

    return added


def claude(desk: Desk) -> anthropic.Anthropic:
    """Anthropic's client."""
    return anthropic.Anthropic(base_url=desk.server.url, auth_token=desk.world.secret, max_retries=0)


def counted(desk: Desk, name: str, **more: Any) -> httpx.Response:
    """A count in Anthropic's dialect."""
    body = {"model": name, "messages": MESSAGES, **more}
    headers = {"anthropic-version": "2023-06-01"}
    return desk.client.post("/v1/messages/count_tokens", json=body, headers=headers)


def google(desk: Desk, name: str, body: dict[str, Any], version: str = "v1beta") -> httpx.Response:
    """A count in Google's dialect."""
    return desk.client.post(f"/{version}/models/{name}:countTokens", json=body)


def arrived(desk: Desk, upstream: Upstream, answer: httpx.Response) -> Any:
    """What the provider got; its log is written after its answer went out."""
    found: list[Any] = []

    def logged() -> bool:
        wanted = answer.headers["x-request-id"]
        found.extend(line["body"] for line in upstream.lines() if line["request_id"] == wanted)
        return bool(found)

    eventually(logged)
    return json.loads(found[0])


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openai"])
def test_anthropics_client_gets_a_count(desk: Desk, model: Model, dialect: str) -> None:
    name = model(dialect)

    with claude(desk) as client:
        answer = client.messages.with_raw_response.count_tokens(model=name, messages=MESSAGES, system="Kind.")

    assert answer.parse().input_tokens > 0
    assert ("x-smartflow-estimated" in answer.headers) == (dialect == "openai")
    record = next(row for row in desk.records() if row["id"] == answer.headers["x-request-id"])
    assert record["path"] == "/v1/messages/count_tokens"
    assert record["target"].startswith(f"{dialect}/")
    # What is none or nothing is not written.
    assert not record.keys() & {"usage_source", "input_tokens", "cost", "charged", "reserved"}
    assert len(record.get("attempts", ())) == (dialect != "openai")


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openai"])
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_client_gets_a_count(desk: Desk, model: Model, dialect: str, version: str) -> None:
    name = model(dialect)
    options = genai.types.HttpOptions(base_url=desk.server.url, api_version=version)

    with genai.Client(api_key=desk.world.secret, http_options=options) as client:
        answer = client.models.count_tokens(model=name, contents="Hello, how are you?")

    assert answer.total_tokens is not None
    assert answer.total_tokens > 0
    record = desk.records()[-1]
    assert record["path"] == f"/{version}/models/{name}:countTokens"
    assert "usage_source" not in record


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openai"])
@pytest.mark.parametrize("spelt", ["generateContentRequest", "generate_content_request"])
def test_a_whole_request_of_google_is_counted(desk: Desk, model: Model, dialect: str, spelt: str) -> None:
    name = model(dialect)
    whole = {
        "model": f"models/{name}",
        "contents": CONTENTS,
        "systemInstruction": {"parts": [{"text": "word " * 400}]},
    }

    long, short = google(desk, name, {spelt: whole}), google(desk, name, {"contents": CONTENTS})

    assert long.json()["totalTokens"] > short.json()["totalTokens"] + 300


def test_the_providers_own_count_is_what_the_client_gets(
    desk: Desk, model: Model, others: dict[str, Upstream]
) -> None:
    name = model("anthropic")

    answer = counted(desk, name, tools=[{"name": "f", "input_schema": {"type": "object"}}])

    body = arrived(desk, others["anthropic"], answer)
    assert body["model"] == CLAUDE
    assert body["tools"][0]["name"] == "f"
    assert "max_tokens" not in body
    assert "x-smartflow-estimated" not in answer.headers


def test_policies_see_what_is_counted(desk: Desk, model: Model, others: dict[str, Upstream]) -> None:
    desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT, phases=(Phase.INPUT,))
    said = {"role": "user", "parts": [{"text": f"Pay with {CARD}"}]}
    claudes, googles = model("anthropic"), model("gemini")

    one = counted(desk, claudes, messages=[{"role": "user", "content": f"Pay with {CARD}"}])
    two = google(desk, googles, {"generateContentRequest": {"model": "models/x", "contents": [said]}})

    for answer, dialect in ((one, "anthropic"), (two, "gemini")):
        assert answer.status_code == 200
        seen = json.dumps(arrived(desk, others[dialect], answer))
        assert CARD not in seen
        assert "[CREDIT_CARD]" in seen
        assert desk.record(answer)["verdict"] == "redacted"
    assert arrived(desk, others["gemini"], two)["generateContentRequest"]["model"] == f"models/{GEMINI}"


def test_a_blocked_count_is_not_sent(desk: Desk, model: Model) -> None:
    desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.BLOCK)
    name = model("anthropic")

    answer = counted(desk, name, messages=[{"role": "user", "content": f"Pay with {CARD}"}])

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "policy_blocked"
    assert "attempts" not in desk.record(answer)


def test_a_count_is_one_of_the_requests_of_a_minute_and_takes_no_budget(desk: Desk, model: Model) -> None:
    budget = Budget(id=ids.new("bud"), name="Small", window=Window.MONTH, limit=1, hard=True)
    desk.world.add_key(desk.second, requests_per_minute=2, budgets=(budget,))
    name = model("anthropic")

    with desk.as_key(desk.second) as client:
        body = {"model": name, "messages": MESSAGES}
        answers = [client.post("/v1/messages/count_tokens", json=body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert sum(desk.world.spend(budget).values()) == 0


def test_a_key_with_an_assumed_output_counts_what_was_asked(
    desk: Desk, model: Model, others: dict[str, Upstream]
) -> None:
    desk.world.add_key(desk.second, assumed_output_tokens=50)
    claudes, googles = model("anthropic"), model("gemini")

    with desk.as_key(desk.second) as client:
        one = client.post("/v1/messages/count_tokens", json={"model": claudes, "messages": MESSAGES})
        two = client.post(f"/v1beta/models/{googles}:countTokens", json={"contents": CONTENTS})

    assert "max_tokens" not in arrived(desk, others["anthropic"], one)
    assert arrived(desk, others["gemini"], two) == {"contents": CONTENTS}


def test_a_provider_without_the_call_is_estimated_for(desk: Desk, model: Model) -> None:
    name = model("anthropic", "status=404")

    answer = counted(desk, name)

    assert answer.status_code == 200
    assert answer.headers["x-smartflow-estimated"] == "true"
    assert [row["status"] for row in desk.record(answer)["attempts"]] == [404]


def test_a_provider_that_fails_is_told(desk: Desk, model: Model) -> None:
    answer = counted(desk, model("anthropic", "status=500"))

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_error"
    assert desk.record(answer)["verdict"] == "failed"


def test_an_estimate_grows_with_the_request(desk: Desk, model: Model) -> None:
    name = model("openai")

    short, long = (
        counted(desk, name, messages=[{"role": "user", "content": "word " * size}]).json()["input_tokens"]
        for size in (10, 1000)
    )

    assert 1000 < long - short < 2000


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": MESSAGES}, "model"),
        ({"model": "plain"}, "messages"),
        ({"model": "plain", "messages": []}, "messages"),
        ({"model": "plain", "messages": "Hello"}, "messages"),
        ({"model": "nobody", "messages": MESSAGES}, "model"),
    ],
)
def test_a_count_of_no_request_names_the_field(desk: Desk, body: dict[str, Any], param: str) -> None:
    answer = desk.client.post("/v1/messages/count_tokens", json=body)

    assert answer.status_code in {400, 404}
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"generateContentRequest": []}, "generateContentRequest"),
        ({"generateContentRequest": {"contents": CONTENTS}, "contents": CONTENTS}, "generateContentRequest"),
        (
            {"generateContentRequest": {"contents": CONTENTS}, "generate_content_request": {}},
            "generateContentRequest",
        ),
    ],
)
def test_a_count_of_no_request_of_google_names_the_field(
    desk: Desk, body: dict[str, Any], param: str
) -> None:
    answer = google(desk, "plain", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["metadata"]["param"] == param

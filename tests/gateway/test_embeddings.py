# SPDX-License-Identifier: Apache-2.0
"""Vectors as the official clients have them, in front of each kind of provider, governed like everything else."""

import base64
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types

from apps.core import redis_names, values
from apps.core.keyring import Purpose
from apps.keys.domain import Budget
from apps.policies.domain import Action
from apps.providers.domain import LOCAL_URL, Provider
from tests.gateway.conftest import eventually
from tests.gateway.desk import Desk
from tests.upstreams.openai_more import vector
from tests.upstreams.running import Upstream, running

CARD = "4111 1111 1111 1111"
MINILM = "all-minilm-l6-v2"
NEAR, FAR = "I forgot my login and need a new one", "Quarterly revenue rose by ten percent"
ASKED = "How do I reset my password?"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """OpenAI's form, held to its schema."""
    with running(tmp_path_factory.mktemp("strict") / "log", strict=True, bodies=True) as found:
        yield found


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Gemini's form."""
    with running(tmp_path_factory.mktemp("google") / "log", server="gemini", bodies=True) as found:
        yield found


@pytest.fixture
def vectors(desk: Desk, strict: Upstream, google: Upstream) -> Desk:
    """A model of vectors at each kind of provider."""
    world = desk.world
    places = {
        "by-openai": world.add_provider("strict", strict.url, credential=sealed(desk, "prv_strict"), id="prv_strict"),
        "by-google": world.add_provider("google", google.url, dialect="gemini", credential=sealed(desk, "prv_google"), id="prv_google"),
        MINILM: world.add_provider("inside", LOCAL_URL, dialect="local"),
    }  # fmt: skip
    for name, provider in places.items():
        model = world.add_model(name, kind="embedding")
        world.add_target(model, provider, name)
    return desk.sync()


def sealed(desk: Desk, provider_id: str) -> str:
    """A credential, which these upstreams insist on."""
    return base64.b64encode(desk.world.ring.seal(Purpose.FIELD, b"secret", bound_to=provider_id)).decode()


def client_of_google(desk: Desk, version: str = "v1beta") -> genai.Client:
    options = types.HttpOptions(base_url=desk.server.url, api_version=version)
    return genai.Client(api_key=desk.world.secret, http_options=options)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("model", ["by-openai", "by-google"])
@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_openais_client_in_front_of_providers(vectors: Desk, model: str, form: Any) -> None:
    more = {} if form is None else {"encoding_format": form}
    with vectors.openai() as client:
        one = client.embeddings.create(model=model, input="Bern", **more)
        two = client.embeddings.create(model=model, input=["Bern", "Basel"], dimensions=4, **more)

    if form == "base64":
        assert isinstance(one.data[0].embedding, str)
        return
    assert one.data[0].embedding == vector("Bern", len(one.data[0].embedding))
    assert [row.embedding for row in two.data] == [vector("Bern", 4), vector("Basel", 4)]
    assert [row.index for row in two.data] == [0, 1]
    assert one.usage.prompt_tokens == one.usage.total_tokens > 0


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("model", ["by-openai", "by-google"])
def test_googles_client_in_front_of_providers(vectors: Desk, model: str, version: str) -> None:
    with client_of_google(vectors, version) as client:
        answer = client.models.embed_content(
            model=model, contents=["Bern", "Basel"], config={"output_dimensionality": 4}
        )

    assert answer.embeddings is not None
    assert [row.values for row in answer.embeddings] == [vector("Bern", 4), vector("Basel", 4)]


@pytest.mark.parametrize("model", ["by-openai", "by-google"])
def test_a_single_one_has_googles_single_form(vectors: Desk, model: str) -> None:
    body = {"content": {"parts": [{"text": "Be"}, {"text": "rn"}]}, "output_dimensionality": 4}

    answer = vectors.client.post(f"/v1beta/models/{model}:embedContent", json=body)

    assert answer.json() == {"embedding": {"values": vector("Bern", 4)}}
    assert vectors.record(answer)["dialect"] == "gemini"


def test_the_local_model_answers_both_clients(vectors: Desk) -> None:
    with vectors.openai() as client:
        answer = client.embeddings.create(model=MINILM, input=[ASKED, NEAR, FAR])
        numbers = client.embeddings.create(model=MINILM, input=ASKED, encoding_format="float", dimensions=384)
    with client_of_google(vectors) as google:
        also = google.models.embed_content(model=MINILM, contents=ASKED)

    asked, near, far = (row.embedding for row in answer.data)
    assert len(asked) == 384
    assert cosine(asked, near) > 0.4 > 0.2 > cosine(asked, far)
    assert numbers.data[0].embedding == asked
    assert also.embeddings is not None
    assert also.embeddings[0].values == pytest.approx(asked)
    # [CLS] how do i reset my password ? [SEP]
    assert numbers.usage.prompt_tokens == 9


def test_more_texts_than_one_turn_keep_their_order(vectors: Desk) -> None:
    texts = [f"text number {number}" for number in range(40)]
    with vectors.openai() as client:
        many = client.embeddings.create(model=MINILM, input=texts)
        last = client.embeddings.create(model=MINILM, input=texts[-1])

    assert [row.index for row in many.data] == list(range(40))
    assert many.data[39].embedding == last.data[0].embedding


def test_the_record_has_usage_and_cost(vectors: Desk) -> None:
    records = {}
    for model in ("by-openai", "by-google", MINILM):
        answer = post(vectors, model=model, input=ASKED)
        records[model] = vectors.record(answer)
        assert answer.json()["usage"]["prompt_tokens"] == records[model]["input_tokens"]

    sources = {name: row["usage_source"] for name, row in records.items()}
    assert sources == {"by-openai": "provider", "by-google": "estimated", MINILM: "provider"}
    # 27 bytes at four to a token; the world's price is a dollar per million.
    assert records["by-google"]["input_tokens"] == 7
    assert Decimal(records["by-google"]["cost"]) == Decimal("0.000007")
    assert Decimal(records[MINILM]["cost"]) == Decimal("0.000009")
    for name, row in records.items():
        assert (row.get("output_tokens", 0), row["model"], row["target"][-9:]) == (0, name, name[-9:])
        assert row["reserved"] >= row["charged"] > 0


@pytest.mark.parametrize("model", ["by-openai", "by-google"])
def test_what_a_policy_redacts_never_leaves(
    vectors: Desk, strict: Upstream, google: Upstream, model: str
) -> None:
    vectors.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT)
    vectors.sync()

    answer = post(vectors, model=model, input=[f"My card is {CARD}", "and nothing else"])

    assert answer.status_code == 200
    arrived: list[dict[str, Any]] = []

    def logged() -> bool:
        # The log has a request when it has ended, which may be after its answer has arrived.
        mine = answer.headers["x-request-id"]
        arrived[:] = [line for line in (*strict.lines(), *google.lines()) if line["request_id"] == mine]
        return bool(arrived)

    eventually(logged)
    assert len(arrived) == 1
    assert CARD not in str(arrived)
    assert "and nothing else" in str(arrived)
    assert vectors.record(answer)["verdict"] == "redacted"


def test_tokens_pass_only_where_nobody_has_to_read_them(vectors: Desk) -> None:
    assert post(vectors, model="by-openai", input=[1, 2, 3]).status_code == 200
    for model in ("by-google", MINILM):
        refused = post(vectors, model=model, input=[[1, 2], [3]])
        assert (refused.status_code, "tokens" in refused.json()["error"]["message"]) == (400, True)

    vectors.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT)
    vectors.sync()
    refused = post(vectors, model="by-openai", input=[1, 2, 3])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")


def test_a_blocked_text_costs_nothing(vectors: Desk) -> None:
    vectors.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.BLOCK)
    vectors.sync()

    with client_of_google(vectors) as client, pytest.raises(errors.ClientError) as refused:
        client.models.embed_content(model="by-google", contents=CARD)

    assert refused.value.code == 403
    assert vectors.records()[-1].get("charged", 0) == 0


def test_a_budget_is_held_before_anything_is_sent(vectors: Desk) -> None:
    vectors.world.add_key(vectors.second, budgets=(Budget(id="bgt_small", name="Small", limit=1),))
    vectors.sync()

    with vectors.openai(api_key=vectors.second) as client, pytest.raises(openai.RateLimitError) as refused:
        client.embeddings.create(model=MINILM, input=ASKED * 10)

    assert refused.value.code == "budget_exceeded"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "model": "plain"}, "model"),
    ],
)
def test_bad_requests_name_their_field(vectors: Desk, fields: dict[str, Any], param: str) -> None:
    refused = post(vectors, **({"model": MINILM} | fields))

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("method", "body", "named"),
    [
        ("embedContent", {}, "content"),
        ("embedContent", {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}}, "parts[0]"),
        ("embedContent", {"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"}, "taskType"),
        ("batchEmbedContents", {"requests": []}, "requests"),
        ("batchEmbedContents", {"requests": [{"content": "a"}]}, "requests[0].content"),
    ],
)  # fmt: skip
def test_googles_errors_name_what_is_wrong(
    vectors: Desk, method: str, body: dict[str, Any], named: str
) -> None:
    refused = vectors.client.post(f"/v1/models/by-openai:{method}", json=body)

    assert refused.status_code == 400
    assert named in refused.json()["error"]["message"]


def test_what_cannot_be_said_is_left_out_on_demand(vectors: Desk) -> None:
    body = {"content": {"parts": [{"text": "Bern"}]}, "taskType": "CLUSTERING", "outputDimensionality": 4}
    headers = {"x-smartflow-drop-params": "true"}

    answer = vectors.client.post("/v1/models/by-openai:embedContent", json=body, headers=headers)

    assert answer.json() == {"embedding": {"values": vector("Bern", 4)}}


def test_kinds_of_models_are_not_mixed_up(vectors: Desk) -> None:
    refused = vectors.chat(MINILM)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    # A chat cannot be led to what knows vectors only.
    inside = next(p for p in providers_of(vectors) if p.dialect == "local")
    model = vectors.world.add_model("talkative")
    vectors.world.add_target(model, inside, MINILM)
    vectors.sync()
    assert vectors.chat("talkative").json()["error"]["code"] == "no_target"
    assert post(vectors, model=MINILM, input="a", dimensions=12).status_code == 400


def providers_of(desk: Desk) -> list[Any]:
    rows = desk.world.client.hgetall(redis_names.room(desk.world.org, "providers"))
    return [values.decode(Provider, raw) for raw in rows.values()]


def test_lists_have_them_last_and_say_what_they_are(vectors: Desk) -> None:
    names = [row["id"] for row in vectors.client.get("/v1/models").json()["data"]]
    # Without the mark of the last edit, which may still be there.
    assert [name for name in names if not name.startswith("mark-")] == [
        "plain",
        MINILM,
        "by-google",
        "by-openai",
    ]
    google = {
        row["displayName"]: row["supportedGenerationMethods"]
        for row in vectors.client.get("/v1beta/models").json()["models"]
    }
    assert google["plain"] == ["generateContent", "countTokens"]
    assert google[MINILM] == ["embedContent", "batchEmbedContents"]
    anthropic = vectors.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert {row["id"] for row in anthropic["data"]}.isdisjoint({MINILM, "by-google", "by-openai"})


def test_the_next_target_answers(vectors: Desk) -> None:
    model = vectors.world.add_model("either", kind="embedding")
    vectors.world.add_target(model, vectors.world.provider, "status=500")
    inside = next(p for p in providers_of(vectors) if p.dialect == "local")
    vectors.world.add_target(model, inside, MINILM, rank=1)
    vectors.sync()

    answer = post(vectors, model="either", input=ASKED)

    assert len(answer.json()["data"][0]["embedding"]) == 384
    attempts = vectors.record(answer)["attempts"]
    assert [(row["status"], row["outcome"]) for row in attempts] == [(500, "status"), (200, "ok")]


def post(desk: Desk, **fields: Any) -> httpx.Response:
    return desk.client.post("/v1/embeddings", json=fields)

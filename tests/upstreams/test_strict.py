# SPDX-License-Identifier: Apache-2.0
"""The stand-ins turn down what the providers turn down, in the providers' own error forms."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.upstreams import bodies
from tests.upstreams.bodies import Change, changed
from tests.upstreams.rules import FOLDER
from tests.upstreams.running import PLAIN, Upstream, running

GOOD = {"openai": bodies.OPENAI, "anthropic": bodies.ANTHROPIC, "gemini": bodies.GEMINI}
WRONG = {"openai": bodies.OPENAI_WRONG, "anthropic": bodies.ANTHROPIC_WRONG, "gemini": bodies.GEMINI_WRONG}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
}
HEADERS = {
    "openai": {"authorization": "Bearer none"},
    "anthropic": {"authorization": "Bearer none", "anthropic-version": "2026-10-21"},
    "gemini": {"x-goog-api-key": "none"},
}
CASES = [(name, case, *found) for name, cases in WRONG.items() for case, found in cases.items()]


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    folder = tmp_path_factory.mktemp("strict")
    with (
        running(folder / "openai", strict=True, bodies=True) as openai,
        running(folder / "anthropic", server="anthropic", bodies=True) as anthropic,
        running(folder / "gemini", server="gemini", bodies=True) as gemini,
    ):
        yield {"openai": openai, "anthropic": anthropic, "gemini": gemini}


def post(upstream: Upstream, name: str, body: Any, path: str = "", **headers: str) -> httpx.Response:
    sent = {key: value for key, value in (HEADERS[name] | headers).items() if value}
    return httpx.post(
        f"{upstream.root}{path or PATHS[name]}", json=body, headers=sent, timeout=20, verify=PLAIN
    )


def noted(upstream: Upstream, request_id: str) -> dict[str, Any]:
    """The log's line of a request; it is written after the answer went out."""
    for _ in range(500):
        for line in upstream.lines():
            if line["request_id"] == request_id:
                return line
        time.sleep(0.02)
    pytest.fail(f"the log does not know {request_id}")


def message_of(name: str, answer: httpx.Response) -> str:
    """The words of a rejection, after its form was held against the published one."""
    body = answer.json()
    error = body["error"]
    if name == "openai":
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
    elif name == "anthropic":
        assert (body["type"], error["type"]) == ("error", "invalid_request_error")
        assert body["request_id"] == answer.headers["request-id"]
    else:
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    found: str = error["message"]
    return found


@pytest.mark.parametrize("name", GOOD)
def test_a_good_body_is_accepted(upstreams: dict[str, Upstream], name: str) -> None:
    answer = post(upstreams[name], name, GOOD[name])

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("name", "case", "change", "words"), CASES, ids=[f"{name}-{case}" for name, case, _, _ in CASES]
)
def test_a_wrong_body_is_turned_down(
    upstreams: dict[str, Upstream], name: str, case: str, change: Change, words: str
) -> None:
    answer = post(upstreams[name], name, changed(GOOD[name], change))

    assert answer.status_code == 400, answer.text
    assert words in message_of(name, answer)


@pytest.mark.parametrize("name", WRONG)
def test_there_are_more_than_ten_of_each(name: str) -> None:
    assert len(WRONG[name]) > 10


@pytest.mark.parametrize("name", GOOD)
def test_a_body_that_is_no_object(upstreams: dict[str, Upstream], name: str) -> None:
    assert post(upstreams[name], name, ["hello"]).status_code == 400


@pytest.mark.parametrize(("name", "status"), [("openai", 401), ("anthropic", 401), ("gemini", 403)])
def test_no_credential(upstreams: dict[str, Upstream], name: str, status: int) -> None:
    answer = post(upstreams[name], name, GOOD[name], **{"authorization": "", "x-goog-api-key": ""})

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_anthropic_wants_a_version_and_the_older_one_takes_a_temperature(
    upstreams: dict[str, Upstream],
) -> None:
    warm = changed(bodies.ANTHROPIC, bodies.put("temperature", 0.5))

    def status(version: str, body: Any = warm) -> int:
        return post(upstreams["anthropic"], "anthropic", body, **{"anthropic-version": version}).status_code

    assert status("", bodies.ANTHROPIC) == 400
    assert (status("2023-06-01"), status("2026-10-21")) == (200, 400)
    assert status("2023-06-01", warm | {"temperature": 1.5}) == 400
    assert status("2023-06-01", warm | {"thinking": {"type": "adaptive"}}) == 400


def test_gemini_takes_both_spellings_of_a_field(upstreams: dict[str, Upstream]) -> None:
    snake = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"parts": [{"text": "[[see=1]]"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}
        ],
        "generation_config": {
            "max_output_tokens": 5,
            "response_json_schema": {"properties": {"max_tokens": {}}},
        },
    }
    snake["generation_config"]["response_mime_type"] = "application/json"  # type: ignore[index]

    answer = post(upstreams["gemini"], "gemini", snake)

    text = answer.json()["candidates"][0]["content"]["parts"][0]["text"]
    assert text.startswith("image/png ")


def test_gemini_3_wants_the_signature_of_a_call_back(upstreams: dict[str, Upstream]) -> None:
    path = PATHS["gemini"].replace("gemini-2.5-flash", "gemini-3.1-pro")
    bare = post(upstreams["gemini"], "gemini", bodies.GEMINI, path)
    dummy = bodies.put("contents", 1, "parts", 0, "thoughtSignature", "skip_thought_signature_validator")

    assert bare.status_code == 400
    assert "missing a thought_signature" in bare.json()["error"]["message"]
    assert post(upstreams["gemini"], "gemini", changed(bodies.GEMINI, dummy), path).status_code == 200


def test_gemini_says_when_to_come_back_in_the_body(upstreams: dict[str, Upstream]) -> None:
    body = {"contents": [{"parts": [{"text": "[[status=429;retry=7]]"}]}]}
    answer = post(upstreams["gemini"], "gemini", body)

    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    assert answer.json()["error"]["details"][0]["retryDelay"] == "7s"


def test_other_surfaces(upstreams: dict[str, Upstream]) -> None:
    counted = post(
        upstreams["anthropic"], "anthropic", {k: v for k, v in bodies.ANTHROPIC.items() if k != "max_tokens"},
        "/v1/messages/count_tokens",
    )  # fmt: skip
    assert counted.json()["input_tokens"] > 0
    models = "/v1beta/models/gemini-2.5-flash"
    for call, body, name in (
        ("countTokens", {"contents": bodies.GEMINI["contents"]}, "totalTokens"),
        ("embedContent", {"content": {"parts": [{"text": "Bern"}]}}, "embedding"),
        ("batchEmbedContents", {"requests": [{"content": {"parts": [{"text": "Bern"}]}}]}, "embeddings"),
    ):
        assert name in post(upstreams["gemini"], "gemini", body, f"{models}:{call}").json()
    vectors = {"model": "text-embedding-3-small", "input": ["Bern", "Basel"], "encoding_format": "base64"}
    found = post(upstreams["openai"], "openai", vectors, "/v1/embeddings").json()["data"]
    assert [row["index"] for row in found] == [0, 1]
    said = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello [[echo=1]]"}
    assert (
        post(upstreams["openai"], "openai", said, "/v1/completions").json()["choices"][0]["text"] == "Hello"
    )
    for name, path in (("openai", "/v1/models"), ("anthropic", "/v1/models"), ("gemini", "/v1beta/models")):
        rows = httpx.get(
            f"{upstreams[name].root}{path}", headers=HEADERS[name], timeout=20, verify=PLAIN
        ).json()
        assert rows.get("data") or rows.get("models")


def test_the_log_has_what_arrived_and_no_credential(upstreams: dict[str, Upstream]) -> None:
    post(
        upstreams["anthropic"],
        "anthropic",
        bodies.ANTHROPIC,
        **{"x-request-id": "req-seen", "x-api-key": "sk-secret"},
    )

    line = noted(upstreams["anthropic"], "req-seen")
    assert json.loads(line["body"]) == bodies.ANTHROPIC
    assert line["headers"]["anthropic-version"] == "2026-10-21"
    assert "sk-secret" not in json.dumps(line)


@pytest.mark.parametrize("name", GOOD)
def test_a_schema_says_where_it_comes_from(name: str) -> None:
    about = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["about"]

    assert set(about) == {"package", "version", "source"}

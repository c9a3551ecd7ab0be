# SPDX-License-Identifier: Apache-2.0
"""Bad input of every kind: a proper status, a message that helps, nothing secret anywhere, and never a 500."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.core.errors import TABLE
from apps.policies.domain import Action
from tests.gateway.conftest import House, open_desk
from tests.gateway.desk import Desk, text_of
from tests.upstreams.running import Upstream

CARD = "4111 1111 1111 1111"
MESSAGES = [{"role": "user", "content": "Hello"}]
OTHER = "sk-sf-" + "9d" * 24


@pytest.fixture(scope="module")
def booth(house: House, upstream: Upstream) -> Iterator[Desk]:
    """One organisation for all tests that publish nothing."""
    found = open_desk(house, upstream)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nothing_leaks(house: House) -> Iterator[None]:
    """After each test: the process lives, had no fault of its own, and wrote no secret down."""
    before = len(house.server.said())
    yield
    said = house.server.said()[before:]
    assert house.server.client.get("/healthz").status_code == 200
    assert "Traceback" not in said
    assert CARD not in said
    assert re.search("sk-sf-[0-9a-f]{9}", said) is None


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code, after checks that hold for every refusal."""
    error = answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert error["type"] == TABLE[error["code"]].kind
    assert error["message"].endswith((".", "…`.", "?"))
    assert re.search("sk-sf-[0-9a-f]{8}", error["message"]) is None
    return answer.status_code, error["code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"42",
        b'"text"',
        b'{"model": "plain", "messages": [{"role": "user", "content": "Hello"}]} trailing',
        b'{"model": "plain", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"model": "plain", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "plain", "messages": [{"role": "user", "\\udfff": "x"}]}',
        b'{"model": "plain", "messages": [{"role": "user", "content": "a\x00b"}]}',
        b'{"model": "plain", "messages": [], "temperature": 1e999}',
        b'{"model": "plain", "messages": NaN}',
        b"\xef\xbb\xbf{}",
    ],
    ids=range(14),
)
def test_a_body_that_is_no_json_object(booth: Desk, body: bytes) -> None:
    answer = booth.post(body)

    assert answer.status_code == 400
    assert code(answer)[1] in {"invalid_json", "invalid_request"}


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [65, 900, 10_000, 500_000])
@pytest.mark.parametrize(
    "place",
    [
        b'{"model":"plain","messages":[{"role":"user","content":',
        b'{"model":"plain","messages":[{"role":"user","content":"Hi"}],"tool_choice":',
    ],
)
def test_nesting_without_end(booth: Desk, depth: int, opening: bytes, place: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    answer = booth.post(
        place + opening * depth + b"1" + closing * depth + (b"}]}" if place.endswith(b'content":') else b"}")
    )

    assert code(answer) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 7),
        ("model", None),
        ("model", ""),
        ("model", "m" * 201),
        ("messages", "Hello"),
        ("messages", []),
        ("messages", {"role": "user"}),
        ("stream", "yes"),
        ("stream_options", [1]),
        ("max_tokens", "many"),
        ("max_tokens", 0),
        ("max_tokens", -5),
        ("max_completion_tokens", 10**30),
        ("n", 0),
        ("n", 129),
        ("n", 1.5),
        ("temperature", "hot"),
        ("temperature", 2.5),
        ("top_p", {}),
        ("tools", {"type": "function"}),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(booth: Desk, field: str, value: Any) -> None:
    answer = booth.post(json.dumps({"model": "plain", "messages": MESSAGES, field: value}).encode())

    assert code(answer) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == field
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(booth: Desk, missing: str) -> None:
    body = {"model": "plain", "messages": MESSAGES}
    body.pop(missing)

    answer = booth.post(json.dumps(body).encode())

    assert code(answer) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == missing


@pytest.mark.parametrize("message", ["Hello", 7, None, [], {"content": "no role"}, {"role": 7}])
def test_a_message_that_is_none_is_named_by_its_place(booth: Desk, message: Any) -> None:
    answer = booth.post(json.dumps({"model": "plain", "messages": [*MESSAGES, message]}).encode())

    assert code(answer) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == "messages[1]"


def test_of_equal_names_in_a_body_the_scanned_one_is_the_sent_one(desk: Desk) -> None:
    desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.BLOCK)
    model = desk.scripted("mirror=1")
    hidden_last = f'{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}],"messages":[{{"role":"user","content":"{CARD}"}}]}}'
    hidden_first = f'{{"model":"{model}","messages":[{{"role":"user","content":"{CARD}"}}],"messages":[{{"role":"user","content":"Hi"}}]}}'
    inside = f'{{"model":"{model}","messages":[{{"role":"user","content":"{CARD}","content":"Hi"}}]}}'

    assert code(desk.post(hidden_last.encode())) == (403, "policy_blocked")
    for body in (hidden_first, inside):
        answer = desk.post(body.encode())
        assert answer.status_code == 200
        assert CARD not in text_of(answer)


def test_whole_numbers_of_any_size_pass(desk: Desk) -> None:
    model = desk.scripted("mirror=1")

    seen = text_of(desk.chat(model, seed=10**29, metadata={"least": -(2**63) - 1}))

    assert str(10**29) in seen
    assert str(-(2**63) - 1) in seen


def test_a_body_of_20_mb_is_refused(booth: Desk) -> None:
    body = json.dumps(
        {"model": "plain", "messages": [{"role": "user", "content": "x" * 20_000_000}]}
    ).encode()

    assert code(booth.post(body)) == (413, "body_too_large")


def test_a_body_of_20_mb_that_does_not_say_so_is_refused(booth: Desk) -> None:
    pieces = (b"x" * 1_000_000 for _ in range(20))

    answer = booth.client.post(
        "/v1/chat/completions", content=pieces, headers={"content-type": "application/json"}
    )

    assert code(answer) == (413, "body_too_large")


def test_a_large_body_within_the_bound_passes(booth: Desk) -> None:
    assert booth.chat(text="word " * 1_000_000, max_tokens=5).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
    ],
)
def test_bodies_in_another_form(booth: Desk, headers: dict[str, str]) -> None:
    answer = booth.client.post(
        "/v1/chat/completions", content=b"{}", headers={"content-type": "application/json"} | headers
    )

    assert code(answer) == (415, "unsupported_media_type")


def test_unknown_and_forbidden_models(desk: Desk) -> None:
    desk.world.add_model("cedar")
    desk.world.add_model("elm", enabled=False)
    desk.world.add_key(desk.second, models=("plain",))
    desk.sync()

    assert code(desk.chat("nobody")) == (404, "model_not_found")
    assert code(desk.chat("elm")) == (404, "model_not_found")
    assert code(desk.chat("cedar", headers={"authorization": f"Bearer {desk.second}"})) == (
        403,
        "model_not_allowed",
    )
    assert code(desk.chat("cedar")) == (503, "no_target")


@pytest.mark.parametrize("header", ["x-smartflow-route-model", "x-smartflow-provider"])
def test_routing_headers_need_a_key_that_may(booth: Desk, header: str) -> None:
    assert code(booth.chat(headers={header: "plain"})) == (403, "override_not_allowed")


def test_no_credential(booth: Desk) -> None:
    answer = httpx.post(
        f"{booth.server.url}/v1/chat/completions", json={"model": "plain", "messages": MESSAGES}
    )

    assert code(answer) == (401, "missing_api_key")


@pytest.mark.parametrize(
    "credential",
    [
        "Bearer " + OTHER,
        "Bearer nonsense",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        OTHER,
        "Bearer sk-sf-" + "z" * 10_000,
        "Bearer sk-sf-" + "\xe9" * 48,
        "bearer\t" + OTHER,
    ],
    ids=range(8),
)
def test_a_credential_that_is_none(booth: Desk, credential: str) -> None:
    headers = {"authorization": credential.encode("latin-1")}

    answer = httpx.post(
        f"{booth.server.url}/v1/chat/completions",
        json={"model": "plain", "messages": MESSAGES},
        headers=headers,
    )

    assert answer.status_code == 401
    assert code(answer)[1] in {"invalid_api_key", "missing_api_key"}
    assert OTHER not in answer.text


def test_ended_and_disabled_keys(desk: Desk) -> None:
    ended, disabled = "sk-sf-" + "e1" * 24, "sk-sf-" + "d1" * 24
    desk.world.add_key(ended, expires_ms=int(time.time() * 1000) - 1)
    desk.world.add_key(disabled, enabled=False)

    assert code(desk.chat(headers={"authorization": f"Bearer {ended}"})) == (401, "expired_api_key")
    assert code(desk.chat(headers={"authorization": f"Bearer {disabled}"})) == (401, "disabled_api_key")


def test_the_same_credential_twice_passes_and_two_do_not(desk: Desk) -> None:
    def ask(*headers: tuple[str, str]) -> httpx.Response:
        found: Any = list(headers)
        return httpx.post(
            f"{desk.server.url}/v1/chat/completions",
            json={"model": "plain", "messages": MESSAGES},
            headers=found,
        )

    mine, other = desk.world.secret, OTHER

    assert ask(("authorization", f"Bearer {mine}"), ("x-api-key", mine)).status_code == 200
    assert ask(("x-api-key", mine)).status_code == 200
    assert code(ask(("authorization", f"Bearer {mine}"), ("x-api-key", other))) == (
        401,
        "conflicting_credentials",
    )
    assert code(ask(("authorization", f"Bearer {mine}"), ("authorization", f"Bearer {other}"))) == (
        401,
        "conflicting_credentials",
    )
    assert code(ask(("x-api-key", other), ("x-api-key", mine))) == (401, "conflicting_credentials")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1", 404),
        ("POST", "//v1/chat/completions", 404),
        ("POST", "/V1/chat/completions", 404),
        ("POST", "/v1//chat/completions", 404),
        ("POST", "/v1/chat%2Fcompletions%00", 404),
        ("POST", "/v1x/chat/completions", 404),
        ("GET", "/", 404),
        ("GET", "/api/keys", 404),
        ("GET", "/v1/%0d%0aset-cookie:x", 404),
    ],
)
def test_wrong_methods_and_near_misses(booth: Desk, method: str, path: str, status: int) -> None:
    url = httpx.URL(booth.server.url).copy_with(raw_path=path.encode())

    answer = booth.client.request(method, url, json={"model": "plain", "messages": MESSAGES})

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == ("method_not_allowed" if status == 405 else "not_found")
    assert "set-cookie" not in answer.headers
    if status == 405:
        assert answer.headers["allow"] in {"GET", "POST"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-smartflow-cache", "perhaps"),
        ("x-smartflow-timeout-ms", "soon"),
        ("x-smartflow-timeout-ms", "0"),
        ("x-smartflow-timeout-ms", "-1"),
        ("x-smartflow-timeout-ms", "9" * 190),
        ("x-smartflow-tags", "x" * 201),
        ("x-smartflow-session-id", "caf\xe9"),
        ("x-request-id", "a\tb"),
    ],
)
def test_a_header_of_ours_with_a_useless_value_is_named(booth: Desk, name: str, value: str) -> None:
    answer = booth.client.post(
        "/v1/chat/completions",
        json={"model": "plain", "messages": MESSAGES},
        headers=[(name, value.encode("latin-1"))],
    )  # type: ignore[list-item]

    assert code(answer) == (400, "invalid_header")
    assert answer.json()["error"]["param"] == name


def test_values_of_ours_that_come_back_cannot_break_a_head(desk: Desk) -> None:
    desk.world.add_target(
        desk.world.add_model("odd\r\nset-cookie: a=b"), desk.world.provider, "plain", name="odd\r\nx-evil: 1"
    )
    desk.sync()

    answer = desk.chat("odd\r\nset-cookie: a=b")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "x-evil" not in answer.headers
    assert answer.headers["x-smartflow-target"] == "odd??x-evil: 1"


def test_limits_per_minute_and_at_once(desk: Desk) -> None:
    desk.world.add_key(desk.second, requests_per_minute=2)
    desk.sync()
    headers = {"authorization": f"Bearer {desk.second}"}

    statuses = [desk.chat(text=f"Hello {number}", headers=headers).status_code for number in range(2)]
    refused = desk.chat(headers=headers)

    assert statuses == [200, 200]
    assert code(refused) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"

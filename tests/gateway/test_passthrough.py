# SPDX-License-Identifier: Apache-2.0
"""Pass-through: what a provider gets, what a client gets, what it costs, and that no path leads anywhere else."""

import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from tests.gateway.conftest import House, eventually, open_desk
from tests.gateway.desk import Desk
from tests.gateway.passing import (
    AT,
    BUDGET,
    CREDENTIAL,
    JSON,
    PRICE,
    add,
    allow,
    code,
    raw,
)
from tests.upstreams.any_server import AnyServer, Reply, any_server
from tests.upstreams.running import Upstream


@pytest.fixture
def provider() -> Iterator[AnyServer]:
    with any_server() as found:
        yield found


@pytest.fixture
def desk(house: House, upstream: Upstream, provider: AnyServer) -> Iterator[Desk]:
    """Dana's organisation, whose key may pass through to one provider."""
    found = open_desk(house, upstream)
    add(found, provider)
    allow(found, "acme/*")
    yield found
    found.close()


def test_any_method_and_the_query_reach_the_provider(desk: Desk, provider: AnyServer) -> None:
    provider.answers({"data": []}, headers={"x-secret": "1", "retry-after": "7", "set-cookie": "a=b"})
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        body = {"name": "set"} if method not in {"GET", "DELETE"} else None
        answer = desk.client.request(
            method, f"{AT}/files/a%20b/x?limit=3&after=f%C3%BC&tag=&tag=2", json=body
        )
        assert (answer.status_code, answer.json()) == (200, {"data": []})
    assert [one.method for one in provider.seen] == ["DELETE", "GET", "PATCH", "POST", "PUT"]
    assert {one.path for one in provider.seen} == {"/v1/files/a%20b/x?limit=3&after=f%C3%BC&tag=&tag=2"}
    assert provider.seen[3].json() == {"name": "set"}
    assert answer.headers["retry-after"] == "7"
    assert {"x-secret", "set-cookie"}.isdisjoint(answer.headers)
    assert desk.client.request("OPTIONS", f"{AT}/files").status_code == 405


def test_the_credential_of_the_provider_is_put_in_and_the_clients_is_not_forwarded(
    desk: Desk, provider: AnyServer
) -> None:
    secret = desk.world.secret
    sent = {
        "x-api-key": secret,
        "cookie": "session=1",
        "x-smartflow-tags": "a",
        "x-request-id": "mine",
        "x-forwarded-for": "10.0.0.1",
        "openai-organization": "org-other",
        "openai-beta": "assistants=v2",
        "anthropic-beta": "dropped-by-hop",
        "connection": "keep-alive, anthropic-beta",
        "te": "trailers",
        "x-http-method-override": "DELETE",
        "idempotency-key": "abc",
    }
    answer = desk.client.post(f"{AT}/responses", json={"input": "Hello"}, headers=sent)

    assert answer.status_code == 200
    (seen,) = provider.seen
    assert seen.headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert secret not in json.dumps(seen.headers)
    assert seen.headers["x-request-id"] == answer.headers["x-request-id"]
    assert (seen.headers["openai-beta"], seen.headers["idempotency-key"]) == ("assistants=v2", "abc")
    told = set(seen.headers) - {"host", "content-length", "connection", "accept", "user-agent"}
    assert told == {
        "authorization", "content-type", "accept-encoding", "x-request-id", "openai-beta", "idempotency-key"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["key", "api_key", "ACCESS_TOKEN", "q"])
def test_no_credential_in_the_query(desk: Desk, provider: AnyServer, name: str) -> None:
    value = desk.world.secret if name == "q" else "abc"
    answer = desk.client.get(f"{AT}/files", params={name: value})
    assert (answer.status_code, provider.seen) == (400, [])


def test_anthropic_and_google_get_their_own_headers(desk: Desk, provider: AnyServer) -> None:
    add(desk, provider, name="claude", dialect="anthropic")
    add(desk, provider, name="google", dialect="gemini")
    allow(desk, "claude", "google/*")
    desk.client.get("/v1/passthrough/claude/models", headers={"anthropic-version": "2026-10-21"})
    desk.client.get("/v1/passthrough/google/cachedContents")
    assert provider.seen[0].headers["x-api-key"] == CREDENTIAL
    assert provider.seen[0].headers["anthropic-version"] == "2026-10-21"
    assert provider.seen[1].headers["x-goog-api-key"] == CREDENTIAL
    refused = desk.client.post("/v1/passthrough/claude/messages", json={})
    assert (refused.status_code, code(refused)) == (403, "passthrough_not_allowed")


@pytest.mark.parametrize(
    ("patterns", "path", "status"),
    [
        ((), "files", 403),
        (("acme/files",), "files", 200),
        (("acme/files",), "files/1", 403),
        (("acme/files/*",), "files/1", 200),
        (("acme",), "batches", 200),
        (("other/*",), "files", 403),
        (("acme/file",), "files", 403),
        (("acme/files",), "Files", 403),
        (("*",), "files", 200),
    ],
)
def test_a_key_passes_only_where_it_is_listed(
    desk: Desk, provider: AnyServer, patterns: tuple[str, ...], path: str, status: int
) -> None:
    allow(desk, *patterns)
    answer = desk.client.get(f"{AT}/{path}")
    assert answer.status_code == status
    assert len(provider.seen) == (status == 200)
    if status == 403:
        assert code(answer) == "passthrough_not_allowed"
        assert desk.record(answer)["error_code"] == "passthrough_not_allowed"


@pytest.mark.parametrize(
    "tail",
    [
        "acme/files/../admin",
        "acme/../../admin",
        "acme/%2e%2e/admin",
        "acme/%2E%2e/admin",
        "acme/.%2e/admin",
        "acme/files%2fadmin",
        "acme/files%2F..%2Fadmin",
        "acme/files%5cadmin",
        "acme/files\\admin",
        "acme/..;/admin",
        "acme/files;a=b",
        "acme/%252e%252e/admin",
        "acme/./admin",
        "acme//admin",
        "acme/",
        "acme",
        "acme//evil.example/admin",
        "acme/http://evil.example/",
        "acme/http:%2f%2fevil.example",
        "http://evil.example/x",
        "//evil.example/x",
        "acme/%00",
        "acme/a%0d%0ahost:evil",
        "acme/%ff",
        "acme/%c0%ae%c0%ae/admin",
        "acme/%ef%bc%8e%ef%bc%8e/admin",
        "acme/%e2%80%a5/admin",
        "acme/a%3fb",
        "acme/a%23b",
        "acme/a%zz",
        "acme/%",
        "acme/" + "a" * 2000,
        "@evil.example/x",
        "acme@evil.example/x",
    ],
)  # fmt: skip
def test_no_path_leads_out(desk: Desk, provider: AnyServer, tail: str) -> None:
    allow(desk, "*")
    status = raw(desk, f"/v1/passthrough/{tail}")
    assert status in {400, 404}
    assert provider.seen == []


def test_an_absolute_target_and_a_host_header_change_nothing(desk: Desk, provider: AnyServer) -> None:
    assert raw(desk, "http://evil.example/v1/passthrough/acme/files") in {200, 400, 404}
    assert raw(desk, f"{AT}/files", "x-forwarded-host: evil.example", "x-original-url: /admin") == 200
    assert {one.path for one in provider.seen} == {"/v1/files"}
    assert all(one.headers["host"].startswith("127.0.0.1") for one in provider.seen)


def test_a_redirect_is_not_followed(desk: Desk, provider: AnyServer) -> None:
    provider.answers({}, status=302, headers={"location": "http://127.0.0.1:1/"})
    answer = desk.client.get(f"{AT}/files")
    assert (answer.status_code, code(answer)) == (502, "upstream_error")
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["chat/completions", "Chat/Completions", "chat/%63ompletions"])
def test_what_has_an_endpoint_of_its_own_is_not_passed(desk: Desk, provider: AnyServer, path: str) -> None:
    answer = desk.client.post(f"{AT}/{path}", json={"model": "plain", "messages": []})
    assert (answer.status_code, code(answer)) == (403, "passthrough_not_allowed")
    assert provider.seen == []


def test_the_models_of_a_key_count_here_too(desk: Desk, provider: AnyServer) -> None:
    allow(desk, "acme/*", models=("small-*", "mark-*"))
    refused = desk.client.post(f"{AT}/responses", json={"model": "large", "input": "Hello"})
    taken = desk.client.post(f"{AT}/responses", json={"model": "small-1", "input": "Hello"})
    assert (refused.status_code, code(refused), taken.status_code) == (403, "model_not_allowed", 200)


def test_of_two_members_of_one_name_the_one_that_was_read_is_sent(desk: Desk, provider: AnyServer) -> None:
    allow(desk, "acme/*", models=("small", "mark-*"))
    desk.client.post(f"{AT}/responses", content=b'{"model":"large","model":"small"}', headers=JSON)
    assert provider.seen[0].body == b'{"model":"small"}'


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_fault_of_our_credential_is_not_told(desk: Desk, provider: AnyServer, status: int) -> None:
    provider.answers({"error": {"message": f"bad key {CREDENTIAL}"}}, status=status)
    answer = desk.client.get(f"{AT}/files")
    assert (answer.status_code, CREDENTIAL in answer.text) == (502, False)


def test_an_answer_that_holds_the_credential_is_kept_back(desk: Desk, provider: AnyServer) -> None:
    provider.answers({"headers": {"authorization": f"Bearer {CREDENTIAL}"}})
    answer = desk.client.get(f"{AT}/echo")
    assert (answer.status_code, CREDENTIAL in answer.text) == (502, False)
    provider.streams({"a": 1}, {"echo": CREDENTIAL})
    assert CREDENTIAL not in desk.client.get(f"{AT}/echo").text


USAGES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("openai", {"usage": {"prompt_tokens": 9, "total_tokens": 9}}, (9, 0, 0)),
    (
        "openai",
        {"usage": {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 3}}},
        (9, 4, 3),
    ),
    (
        "anthropic",
        {"usage": {"input_tokens": 6, "cache_read_input_tokens": 3, "output_tokens": 4}},
        (9, 4, 3),
    ),
    (
        "gemini",
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "cachedContentTokenCount": 3}},
        (9, 4, 3),
    ),
]


@pytest.mark.parametrize(("dialect", "said", "tokens"), USAGES)
def test_usage_and_cost_are_on_the_record(
    desk: Desk, provider: AnyServer, dialect: str, said: dict[str, Any], tokens: tuple[int, int, int]
) -> None:
    add(desk, provider, name="other", dialect=dialect)
    allow(desk, "other/*", budgets=(BUDGET,))
    provider.answers(said)
    answer = desk.client.post("/v1/passthrough/other/things?x=1", json={"text": "Hello", "model": "m-1"})
    record = desk.record(answer)
    assert (record["path"], record["provider"]) == ("/v1/passthrough/other/things", "other")
    assert (record["status"], record.get("verdict", "allowed"), record["dialect"]) == (
        200,
        "allowed",
        dialect,
    )
    assert (record["usage_source"], record["model_asked"]) == ("provider", "m-1")
    assert (record["input_tokens"], record.get("output_tokens", 0), record.get("cached_tokens", 0)) == tokens
    assert Decimal(str(record["cost"])) == PRICE
    assert str(record["price_version"]).endswith("@3")
    assert Decimal(answer.headers["x-smartflow-cost"]) == PRICE
    eventually(lambda: desk.world.spend(BUDGET) == {"held": 0, "spent": 2500})


def test_a_hard_budget_needs_a_price_and_bounds_the_requests(desk: Desk, provider: AnyServer) -> None:
    allow(desk, "acme", "free", budgets=(BUDGET,))
    add(desk, provider, name="free", pass_price=None)
    desk.sync()
    refused = desk.client.get("/v1/passthrough/free/files")
    assert (refused.status_code, code(refused), provider.seen) == (403, "price_missing", [])
    statuses = []
    for _ in range(6):
        statuses.append(desk.client.get(f"{AT}/files").status_code)
        eventually(lambda: desk.world.spend(BUDGET).get("held", 0) == 0)
    assert statuses == [200] * 4 + [429] * 2
    assert len(provider.seen) == 4
    soft = msgspec.structs.replace(BUDGET, id="bgt_soft", hard=False)
    allow(desk, "free", budgets=(soft,))
    assert desk.client.get("/v1/passthrough/free/files").status_code == 200


def test_an_error_of_the_provider_is_handed_on_and_costs_nothing(desk: Desk, provider: AnyServer) -> None:
    allow(desk, "acme", budgets=(BUDGET,))
    for status in (404, 429, 500):
        provider.answers({"error": {"message": "no"}}, status=status, headers={"retry-after": "9"})
        answer = desk.client.get(f"{AT}/files/1")
        assert (answer.status_code, answer.json()) == (status, {"error": {"message": "no"}})
        record = desk.record(answer)
        assert (record["status"], record["verdict"]) == (status, "failed")
        assert not record.get("charged")
    assert answer.headers["retry-after"] == "9"


def test_a_provider_that_is_gone_or_encodes(desk: Desk, provider: AnyServer) -> None:
    provider.answers({}, headers={"content-encoding": "gzip"})
    assert code(desk.client.get(f"{AT}/files")) == "upstream_error"
    desk.world.add_provider("gone", "http://127.0.0.1:1/v1")
    allow(desk, "*")
    answer = desk.client.get("/v1/passthrough/gone/files")
    assert (answer.status_code, code(answer)) == (502, "upstream_error")
    assert desk.client.get("/v1/passthrough/nobody/files").status_code == 404


def test_a_stream_passes_event_by_event(desk: Desk, provider: AnyServer) -> None:
    gate = threading.Event()
    done = {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}
    provider.streams({"type": "a", "delta": "Hel"}, {"type": "a", "delta": "lo"}, done, gate=gate)
    with desk.client.stream("POST", f"{AT}/responses", json={"stream": True, "input": "Hi"}) as answer:
        lines = answer.iter_lines()
        # The provider waits with the second event until the first one is here.
        assert json.loads(next(lines)[6:]) == {"type": "a", "delta": "Hel"}
        gate.set()
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert rest == [{"type": "a", "delta": "lo"}, done]
    record = desk.record(answer)
    assert (record["stream"], record["input_tokens"], record["output_tokens"]) == (True, 3, 2)
    assert (record["status"], Decimal(str(record["cost"]))) == (200, PRICE)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_the_provider(desk: Desk, provider: AnyServer, stream: bool) -> None:
    allow(desk, "acme", budgets=(BUDGET,))
    gate = threading.Event()
    many = tuple(b'data: {"a":"' + b"x" * 4096 + b'"}\n\n' for _ in range(2000))
    provider.reply = Reply(many, kind="text/event-stream" if stream else "application/json", gate=gate)
    url = httpx.URL(desk.server.url)
    connection = socket.create_connection((url.host, url.port or 80), timeout=60)
    head = f"POST {AT}/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {desk.world.secret}\r\n"
    connection.sendall(f"{head}content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    eventually(lambda: len(provider.seen) == 1)
    if stream:
        seen = b""
        while b'"}' not in seen:
            seen += connection.recv(65536)
    connection.close()
    eventually(lambda: len(desk.records()) == 1)
    gate.set()
    assert provider.left.wait(60)
    (record,) = desk.records()
    assert (record["error_code"], [a["outcome"] for a in record["attempts"]]) == (
        "client_closed",
        ["cancelled"],
    )
    eventually(lambda: desk.world.spend(BUDGET) == {"held": 0, "spent": 2500})


def test_a_client_has_its_time(desk: Desk, provider: AnyServer) -> None:
    provider.reply = Reply((b"{", b"}"), gate=threading.Event())
    answer = desk.client.get(f"{AT}/files", headers={"x-smartflow-timeout-ms": "300"})
    assert (answer.status_code, code(answer)) == (504, "upstream_timeout")
    provider.reply.gate.set()  # type: ignore[union-attr]

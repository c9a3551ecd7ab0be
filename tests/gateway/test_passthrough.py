# SPDX-License-Identifier: Apache-2.0
"""Pass-through: what a provider gets, what a client gets, what it costs, and that no path leads anywhere else."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from apps.core.keyring import Purpose
from apps.keys.domain import Budget
from apps.policies.domain import Action, Phase
from tests.gateway.conftest import House, eventually, open_desk
from tests.gateway.desk import Desk
from tests.upstreams.any_server import AnyServer, Reply, any_server
from tests.upstreams.running import Upstream

CARD = "4111 1111 1111 1111"
DIGITS = CARD.replace(" ", "")
CREDENTIAL = "sk-provider-0123456789abcdef"
PRICE = Decimal("0.0025")
BUDGET = Budget(id="bgt_pass", name="Passing", limit=10_000)
AT = "/v1/passthrough/acme"
JSON = {"content-type": "application/json"}


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


def add(desk: Desk, provider: AnyServer, **more: Any) -> None:
    """The provider, with a credential and a price."""
    given: dict[str, Any] = {"name": "acme", "pass_price": PRICE, "pass_price_version": 3} | more
    row = desk.world.add_provider(given.pop("name"), provider.url, **given)
    sealed = desk.world.ring.seal(Purpose.FIELD, CREDENTIAL.encode(), bound_to=row.id)
    desk.world.put("providers", msgspec.structs.replace(row, credential=base64.b64encode(sealed).decode()))


def allow(desk: Desk, *patterns: str, **more: Any) -> None:
    """Set what the key may do."""
    desk.world.key = msgspec.structs.replace(desk.world.key, passthrough=patterns, **more)
    desk.world.put_key(desk.world.key)
    desk.sync()


def guard(desk: Desk, action: Action, *phases: Phase) -> None:
    """A policy about card numbers."""
    entities = {"entities": ["CREDIT_CARD"]}
    desk.world.add_policy("Cards", "pii", entities, action, phases=phases or (Phase.INPUT, Phase.OUTPUT))
    desk.sync()


def code(answer: httpx.Response) -> str:
    """The code of an error in OpenAI's form."""
    found: str = answer.json()["error"]["code"]
    return found


def raw(desk: Desk, target: str, *headers: str) -> int:
    """The status of a GET whose target is sent as it stands."""
    url = httpx.URL(desk.server.url)
    lines = [
        f"GET {target} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {desk.world.secret}",
        "connection: close",
    ]
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())
        return int(connection.makefile("rb").readline().split()[1])


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


HIDDEN: list[tuple[str, bytes]] = [
    ("application/json", json.dumps({"input": [{"content": [{"text": f"Card {CARD}"}]}]}).encode()),
    ("application/json", json.dumps({"metadata": {f"card {CARD}": "x"}}).encode()),
    ("application/json", json.dumps([f"Card {CARD}"]).encode()),
    ("application/json", json.dumps(f"Card {CARD}").encode()),
    ("application/json", b'{"input":"' + "".join(f"\\u{ord(c):04x}" for c in CARD).encode() + b'"}'),
    ("application/json", json.dumps({"input": int(DIGITS)}).encode()),
    ("text/plain", f"Card {CARD}".encode()),
    ("text/plain", b'{"input":"' + "".join(f"\\u{ord(c):04x}" for c in CARD).encode() + b'"}'),
    ("application/x-www-form-urlencoded", json.dumps({"input": f"Card {CARD}"}).encode()),
    ("application/jsonl", json.dumps({"a": 1}).encode() + b"\n" + json.dumps({"b": CARD}).encode()),
]


@pytest.mark.parametrize(("kind", "body"), HIDDEN)
def test_every_text_of_a_body_is_redacted(desk: Desk, provider: AnyServer, kind: str, body: bytes) -> None:
    guard(desk, Action.REDACT, Phase.INPUT)
    answer = desk.client.post(f"{AT}/responses", content=body, headers={"content-type": kind})
    assert answer.status_code == 200
    sent = provider.seen[0].body
    assert DIGITS not in sent.replace(b" ", b"").decode()
    assert b"\\u0034" not in sent
    assert b"CREDIT_CARD" in sent
    assert desk.record(answer)["verdict"] == "redacted"


@pytest.mark.parametrize(("kind", "body"), HIDDEN)
def test_every_text_of_a_body_is_blocked(desk: Desk, provider: AnyServer, kind: str, body: bytes) -> None:
    guard(desk, Action.BLOCK, Phase.INPUT)
    answer = desk.client.post(f"{AT}/responses", content=body, headers={"content-type": kind})
    assert (answer.status_code, code(answer)) == (403, "policy_blocked")
    assert provider.seen == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/octet-stream", b"\x00\xff\xfe"),
        ("audio/mpeg", b"ID3" + bytes(64)),
        ("multipart/form-data; boundary=b", f'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n{CARD}\r\n--b--'.encode()),
        ("application/x-www-form-urlencoded", b"a=%34111+1111+1111+1111"),
        ("text/plain", CARD.encode("utf-16-le")),
        ("text/plain", b"\xff\xfe" + CARD.encode("utf-16-le")),
        ("text/plain; charset=utf-7", b"+ADQ-111 1111 1111 1111"),
        ("application/json; charset=utf-16", json.dumps({"a": CARD}).encode("utf-16")),
        ("application/xml", b"<a>&#52;111 1111 1111 1111</a>"),
        ("application/jsonl", b'{"a":1}\nnot json'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_only_where_a_policy_must_read_it(
    desk: Desk, provider: AnyServer, kind: str, body: bytes
) -> None:
    passed = desk.client.post(f"{AT}/files", content=body, headers={"content-type": kind})
    assert (passed.status_code, provider.seen[0].body) == (200, body)
    assert provider.seen[0].headers["content-type"] == kind
    guard(desk, Action.REDACT, Phase.INPUT)
    refused = desk.client.post(f"{AT}/files", content=body, headers={"content-type": kind})
    assert (refused.status_code, code(refused)) == (415, "unscannable_body")
    assert len(provider.seen) == 1


@pytest.mark.parametrize("body", [b"{", b'{"a":"\xff"}', b"", b"[" * 100_000])
def test_json_that_is_none(desk: Desk, provider: AnyServer, body: bytes) -> None:
    answer = desk.client.post(f"{AT}/responses", content=body, headers=JSON)
    if body:
        assert (answer.status_code, code(answer), provider.seen) == (400, "invalid_json", [])
    else:
        assert (answer.status_code, provider.seen[0].body) == (200, b"")


def test_an_encoded_body_is_refused(desk: Desk, provider: AnyServer) -> None:
    answer = desk.client.post(f"{AT}/files", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, provider.seen) == (415, [])


def test_the_query_and_headers_are_read_too(desk: Desk, provider: AnyServer) -> None:
    guard(desk, Action.REDACT, Phase.INPUT)
    beta = {"openai-beta": f"card {CARD}"}
    desk.client.get(f"{AT}/search?n=1&q=%34111%201111+1111%201111", headers=beta)
    (seen,) = provider.seen
    assert "1111" not in seen.path + seen.headers["openai-beta"]
    assert seen.path.startswith("/v1/search?n=1&q=")


def test_a_finding_in_the_path_is_refused_and_not_recorded(desk: Desk, provider: AnyServer) -> None:
    guard(desk, Action.REDACT, Phase.INPUT)
    answer = desk.client.get(f"{AT}/customers/{DIGITS}")
    assert (answer.status_code, code(answer), provider.seen) == (403, "policy_blocked", [])
    record = desk.record(answer)
    assert (record["path"], record["verdict"]) == ("/v1/passthrough/acme/…", "blocked")
    assert DIGITS not in json.dumps(record)


def test_an_answer_is_reviewed(desk: Desk, provider: AnyServer) -> None:
    guard(desk, Action.REDACT, Phase.OUTPUT)
    said = {"output": [{"text": f"Card {CARD}", "logprobs": [{"token": "4111"}]}]}
    for status in (200, 404):
        provider.answers(said, status=status)
        answer = desk.client.get(f"{AT}/responses/1")
        assert (answer.status_code, DIGITS in answer.text.replace(" ", "")) == (status, False)
        assert "4111" not in answer.text
    provider.reply = Reply((b"1\n00:00 --> 00:02\n" + CARD.encode(),), kind="text/vtt")
    text = desk.client.get(f"{AT}/transcriptions")
    assert (text.status_code, text.headers["content-type"], CARD in text.text) == (200, "text/vtt", False)
    provider.reply = Reply((b"\x00\xff",), kind="audio/mpeg")
    assert code(desk.client.get(f"{AT}/audio")) == "policy_blocked"


def test_a_blocked_answer(desk: Desk, provider: AnyServer) -> None:
    guard(desk, Action.BLOCK, Phase.OUTPUT)
    provider.answers({"output": f"Card {CARD}", "usage": {"input_tokens": 5, "output_tokens": 7}})
    answer = desk.client.post(f"{AT}/responses", json={"input": "Hello"})
    assert (answer.status_code, code(answer)) == (403, "policy_blocked")
    record = desk.record(answer)
    assert (record["verdict"], Decimal(str(record["cost"]))) == ("blocked", PRICE)


def test_bytes_pass_where_no_policy_reads_them(desk: Desk, provider: AnyServer) -> None:
    provider.reply = Reply((b"\x00\xff\x01",), kind="audio/mpeg")
    answer = desk.client.post(f"{AT}/audio/speech", json={"input": "Hello"})
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff\x01", "audio/mpeg")


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


CUTS = [
    [CARD[:4], CARD[4:9], CARD[9:]],
    list(CARD),
    [f"Card {CARD}", " is on file"],
]


@pytest.mark.parametrize("parts", CUTS)
@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_a_stream_is_reviewed_however_it_is_cut(
    desk: Desk, provider: AnyServer, parts: list[str], action: Action
) -> None:
    guard(desk, action, Phase.OUTPUT)
    told: list[Any] = [{"type": "x.delta", "item_id": "msg_1", "delta": part} for part in parts]
    provider.streams(*told, {"type": "x.done", "text": "".join(parts)}, "[DONE]")
    answer = desk.client.post(f"{AT}/responses", json={"stream": True})
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    shown = [json.loads(event) for event in events if event != "[DONE]"]
    text = "".join(event.get("delta", "") for event in shown) + answer.text
    assert DIGITS not in "".join(char for char in text if char.isdigit())
    if action is Action.REDACT:
        assert len(events) == len(parts) + 2
        assert all(event.get("item_id", "msg_1") == "msg_1" for event in shown)
        assert "CREDIT_CARD" in text
        assert events[-1] == "[DONE]"
    else:
        assert "policy_blocked" in answer.text
    assert desk.record(answer)["verdict"] == ("redacted" if action is Action.REDACT else "blocked")


def test_a_policy_that_only_notes_lets_a_stream_pass(desk: Desk, provider: AnyServer) -> None:
    guard(desk, Action.LOG, Phase.OUTPUT)
    provider.streams({"delta": CARD[:7]}, {"delta": CARD[7:]}, "[DONE]")
    answer = desk.client.post(f"{AT}/responses", json={"stream": True})
    assert answer.text.count("data: ") == 3
    (evaluation,) = desk.record(answer)["evaluations"]
    assert evaluation["action"] == "log"


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

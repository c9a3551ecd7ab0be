# SPDX-License-Identifier: Apache-2.0
"""Pass-through under policies: every text is read, and what nobody can read does not pass."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from apps.policies.domain import Action, Phase
from tests.gateway.conftest import House, open_desk
from tests.gateway.desk import Desk
from tests.gateway.passing import AT, CARD, DIGITS, JSON, PRICE, add, allow, code, guard
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

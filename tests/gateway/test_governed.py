# SPDX-License-Identifier: Apache-2.0
"""Policies in the pipeline: what the provider's own log saw, what the client got, and that no part of a value slips by."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from apps.core import redis_names
from apps.policies.domain import Action, Phase, Scope
from tests.gateway.conftest import eventually
from tests.gateway.desk import Desk, events, text_of

CARD = "4111 1111 1111 1111"
DIGITS = CARD.replace(" ", "")
CARDS = {"entities": ["CREDIT_CARD"]}
SAID = f"Your card {CARD} is on file, ask for more."


def guard(desk: Desk, action: Action, *phases: Phase, **more: Any) -> None:
    """A policy about card numbers."""
    desk.world.add_policy("Cards", "pii", CARDS, action, phases=phases or (Phase.INPUT, Phase.OUTPUT), **more)


def shown(text: str) -> str:
    """All digits of a text: what a fragment would show up in."""
    return "".join(char for char in text if char.isdigit())


def test_a_prompt_is_redacted_before_it_leaves(desk: Desk) -> None:
    guard(desk, Action.REDACT, Phase.INPUT)
    model = desk.scripted("mirror=1")

    answer = desk.chat(
        model,
        f"Pay with {CARD} please",
        user=f"dana {DIGITS}",
        metadata={"card": int(DIGITS), "deep": [{"note": CARD}]},
    )
    seen = text_of(answer)

    assert DIGITS not in shown(seen)
    assert seen.count("[CREDIT_CARD]") == 4
    assert answer.headers["x-smartflow-policy"] == "Cards v1=redact"
    record = desk.record(answer)
    assert record["verdict"] == "redacted"
    assert [row["action"] for row in record["evaluations"]] == ["redact"]
    assert DIGITS not in shown(json.dumps(record["evaluations"]))


def test_a_prompt_is_blocked_and_nothing_is_sent(desk: Desk) -> None:
    guard(desk, Action.BLOCK)
    desk.sync()
    before = desk.upstream.stats()["requests"]

    answer = desk.chat(text=f"Pay with {CARD}")

    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("policy_blocked", "permission_error")
    assert '"Cards" stopped this' in error["message"]
    assert CARD not in answer.text
    assert desk.upstream.stats()["requests"] == before
    record = desk.record(answer)
    assert (record["verdict"], record.get("charged", 0), record.get("attempts", [])) == ("blocked", 0, [])


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": CARD},
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "text", "text": CARD}]},
        {"role": "user", "content": [{"type": CARD, "text": "see"}]},
        {"role": "user", "content": f"data:image/ {CARD}"},
        {"role": "user", "content": "hi", "name": CARD},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "pay", "arguments": json.dumps({"card": CARD})},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": DIGITS},
        {"role": "user", "content": "hi", "x_unknown": {"deep": [[CARD]]}},
        {"role": CARD, "content": "hi"},
    ],
    ids=range(9),
)
def test_no_place_in_a_message_is_overlooked(desk: Desk, message: dict[str, Any]) -> None:
    guard(desk, Action.BLOCK, Phase.INPUT)
    desk.sync()
    body = {"model": "plain", "messages": [{"role": "user", "content": "Hello"}, message]}

    assert desk.post(json.dumps(body).encode()).status_code == 403


@pytest.mark.parametrize(
    "field",
    [
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "user",
        "service_tier",
        "instructions",
        "prediction",
        "x_unknown",
    ],
)
def test_no_field_beside_the_messages_is_overlooked(desk: Desk, field: str) -> None:
    guard(desk, Action.BLOCK, Phase.INPUT)
    desk.sync()
    value = [{"function": {"description": CARD}}] if field == "tools" else CARD

    assert desk.chat(**{field: value}).status_code == 403


def test_an_answer_is_redacted(desk: Desk) -> None:
    guard(desk, Action.REDACT, Phase.OUTPUT)
    model = desk.scripted(f"text={quote(SAID)}")

    answer = desk.chat(model)

    assert text_of(answer) == SAID.replace(CARD, "[CREDIT_CARD]")
    assert answer.headers["x-smartflow-policy"] == "Cards v1=redact"
    assert desk.record(answer)["verdict"] == "redacted"


def test_an_answer_is_blocked_and_paid_for(desk: Desk) -> None:
    guard(desk, Action.BLOCK, Phase.OUTPUT)
    model = desk.scripted(f"text={quote(SAID)};usage=10,20")

    answer = desk.chat(model)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "policy_blocked")
    assert DIGITS not in shown(answer.text)
    record = desk.record(answer)
    assert (record["verdict"], record["charged"], record["usage_source"]) == ("blocked", 50, "provider")


@pytest.mark.parametrize("split", [1, 3, 7])
@pytest.mark.parametrize("n", [1, 2])
def test_a_stream_is_redacted_however_it_is_cut(desk: Desk, split: int, n: int) -> None:
    guard(desk, Action.REDACT, Phase.OUTPUT)
    model = desk.scripted(f"text={quote(SAID)};split={split};model=aspen")

    answer = desk.chat(model, stream=True, n=n)

    for index in range(n):
        assert text_of(answer, index) == SAID.replace(CARD, "[CREDIT_CARD]")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "4111" not in answer.text
    assert desk.record(answer)["verdict"] == "redacted"


@pytest.mark.parametrize("split", [1, 5])
def test_a_stream_is_blocked_without_a_fragment(desk: Desk, split: int) -> None:
    guard(desk, Action.BLOCK, Phase.OUTPUT)
    model = desk.scripted(f"text={quote(SAID + ' word' * 5000)};split={split};model=aspen")

    answer = desk.chat(model, stream=True)

    *_, last = events(answer)
    assert last["choices"][0]["finish_reason"] == "content_filter"
    assert last["smartflow"]["code"] == "policy_blocked"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert text_of(answer) == "Your card "
    record = desk.record(answer)
    assert (record["verdict"], record["finish_reason"], record["error_code"]) == (
        "blocked",
        "content_filter",
        "policy_blocked",
    )
    assert record["charged"] > 0
    assert record["delivered_chars"] == len("Your card ")


def test_a_blocked_stream_without_end_frees_its_provider(desk: Desk) -> None:
    desk.world.add_policy("Words", "dummy", {"literal": "word3"}, Action.BLOCK)
    model = desk.scripted("endless=1;gap=1")

    answer = desk.chat(model, stream=True)

    assert "word3" not in answer.text
    assert events(answer)[-1]["choices"][0]["finish_reason"] == "content_filter"
    eventually(lambda: [call["completed"] for call in desk.calls()] == [False])


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_of_a_tool_call_are_redacted_and_stay_json(desk: Desk, stream: bool) -> None:
    desk.world.add_policy("Towns", "dummy", {"literal": "Bern"}, Action.REDACT, phases=(Phase.OUTPUT,))
    model = desk.scripted("tools=1")

    answer = desk.chat(model, stream=stream)

    if stream:
        deltas = [
            call
            for event in events(answer)
            for choice in event["choices"]
            for call in choice["delta"].get("tool_calls", ())
        ]
        arguments = "".join(delta["function"].get("arguments", "") for delta in deltas)
        assert [delta["id"] for delta in deltas if "id" in delta] == ["call_upstream"]
    else:
        arguments = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"town": "[DUMMY]"}


@pytest.mark.parametrize("phase", [Phase.INPUT, Phase.OUTPUT])
@pytest.mark.parametrize("stream", [False, True])
def test_a_detector_that_fails_fails_closed(desk: Desk, phase: Phase, stream: bool) -> None:
    desk.world.add_policy("Drill", "dummy", {"fails": True}, Action.REDACT, phases=(phase,))
    desk.sync()

    answer = desk.chat(stream=stream)

    record = desk.record(answer)
    assert "Hello from the upstream" not in answer.text
    if stream and phase is Phase.OUTPUT:
        assert events(answer)[-1]["choices"][0]["finish_reason"] == "content_filter"
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "policy_unavailable")
        assert "Drill" in answer.json()["error"]["message"]
    assert [row["action"] for row in record["evaluations"]] == ["error"]
    assert (desk.calls() == []) is (phase is Phase.INPUT)


def test_a_detector_that_may_fail_open_is_noted(desk: Desk) -> None:
    desk.world.add_policy("Drill", "dummy", {"fails": True}, Action.REDACT, fail_closed=False)
    desk.sync()

    answer = desk.chat()

    assert answer.status_code == 200
    assert {row["action"] for row in desk.record(answer)["evaluations"]} == {"error"}


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b'{"v":99,"id":"pol_x"}',
        b'{"v":1,"id":"pol_x","organisation_id":"o","name":"n","version":1,"action":"ponder"}',
    ],
)
def test_a_policy_that_cannot_be_read_lets_nothing_pass(desk: Desk, raw: bytes) -> None:
    desk.world.client.hset(redis_names.room(desk.world.org, "policies"), "pol_x", raw)
    desk.world.client.hincrby(redis_names.versions(desk.world.org), "policies", 1)
    desk.world.edit("policies", "pol_x")
    desk.sync()

    answer = desk.chat()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "policy_unavailable")
    assert desk.calls() == []


def test_a_policy_of_an_unknown_kind_fails_closed(desk: Desk) -> None:
    desk.world.add_policy("Tomorrow's", "oracle", {}, Action.BLOCK)
    desk.sync()

    assert desk.chat().json()["error"]["code"] == "policy_unavailable"


def test_a_scope_says_whose_requests_are_looked_at(desk: Desk) -> None:
    guard(desk, Action.BLOCK, Phase.INPUT, scope=Scope(departments=("Legal",)))
    desk.world.add_key(desk.second, department="Legal", person_name="Lena Baumann")
    desk.sync()

    assert desk.chat(text=CARD).status_code == 200
    assert desk.chat(text=CARD, headers={"authorization": f"Bearer {desk.second}"}).status_code == 403


def test_log_only_changes_nothing_and_is_recorded(desk: Desk) -> None:
    guard(desk, Action.LOG)
    model = desk.scripted("mirror=1")

    answer = desk.chat(model, CARD)

    assert CARD in text_of(answer)
    record = desk.record(answer)
    assert record.get("verdict", "allowed") == "allowed"
    assert [row["action"] for row in record["evaluations"]] == ["log", "log"]
    assert record["evaluations"][0]["findings"][0]["count"] == 1

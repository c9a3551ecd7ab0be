# SPDX-License-Identifier: Apache-2.0
"""Stored answers: found again only by those who might have got them, in either form, and never a broken one."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from apps.core import redis_names
from apps.policies.domain import Action, Phase, Scope
from tests.gateway.conftest import House, eventually, open_desk
from tests.gateway.desk import Desk, events, text_of
from tests.upstreams.running import Upstream
from tests.upstreams.script import GREETING


def hit(answer: httpx.Response) -> str:
    """What the answer says of the cache."""
    assert answer.status_code == 200
    return answer.headers["x-smartflow-cache-hit"]


def kept(desk: Desk, answer: httpx.Response) -> httpx.Response:
    """The answer, once it is stored: that is done after its last byte."""
    name = redis_names.cached(desk.world.org, answer.headers["x-smartflow-cache-key"])
    eventually(lambda: desk.world.client.exists(name) == 1)
    return answer


def add_person(desk: Desk, **more: Any) -> dict[str, str]:
    """The headers of somebody else's key."""
    desk.world.add_key(desk.second, **more)
    desk.sync()
    return {"authorization": f"Bearer {desk.second}"}


def test_the_same_question_is_answered_from_the_store(desk: Desk) -> None:
    first = kept(desk, desk.chat())

    second = desk.chat()

    assert (hit(first), hit(second)) == ("none", "exact")
    assert second.content == first.content
    assert len(desk.calls()) == 1
    record = desk.record(second)
    assert (record.get("charged", 0), record["usage_source"], record.get("attempts", [])) == (0, "cache", [])
    assert Decimal(record["saved"]) == Decimal(desk.record(first)["cost"]) > 0


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_an_answer_is_found_in_either_form(desk: Desk, first: bool, second: bool) -> None:
    kept(desk, desk.chat(stream=first))

    found = desk.chat(stream=second, **({"stream_options": {"include_usage": True}} if second else {}))

    assert hit(found) == "exact"
    assert text_of(found) == GREETING
    if second:
        assert found.text.endswith("data: [DONE]\n\n")
        assert events(found)[-1]["usage"]["completion_tokens"] == 16
        assert [c["finish_reason"] for e in events(found) for c in e["choices"] if c["finish_reason"]] == [
            "stop"
        ]
    else:
        assert found.json()["object"] == "chat.completion"
        assert found.json()["choices"][0]["message"]["role"] == "assistant"


def test_what_a_client_may_ask_of_the_store(desk: Desk) -> None:
    def ask(mode: str, **more: Any) -> httpx.Response:
        return desk.chat(headers={"x-smartflow-cache": mode}, **more)

    none = ask("only")
    kept(desk, desk.chat())

    assert (none.status_code, none.json()["error"]["code"]) == (404, "not_found")
    assert hit(ask("only")) == "exact"
    assert ask("skip").headers.get("x-smartflow-cache-hit", "none") == "none"
    assert hit(ask("refresh")) == "none"
    assert hit(ask("")) == "exact"


def test_sampling_on_purpose_is_not_stored_unless_it_is_asked_for(desk: Desk) -> None:
    exact = {"x-smartflow-cache": "exact"}
    desk.chat(temperature=1)

    assert hit(desk.chat(temperature=1)) == "none"
    kept(desk, desk.chat(temperature=1, headers=exact))
    assert hit(desk.chat(temperature=1, headers=exact)) == "exact"


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"logprobs": True},
        {"temperature": 0.5},
    ],
)
def test_questions_that_are_never_stored(desk: Desk, more: dict[str, Any]) -> None:
    desk.chat(**more)

    answer = desk.chat(**more)

    assert hit(answer) == "none"
    assert "x-smartflow-cache-key" not in answer.headers


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 7},
        {"seed": 1},
        {"text": "Hello!"},
        {"top_p": 0.9},
        {"stop": ["x"]},
        {"response_format": {"type": "text"}},
        {"x_unknown": 1},
    ],
)
def test_another_question_is_not_the_same(desk: Desk, more: dict[str, Any]) -> None:
    kept(desk, desk.chat())

    assert hit(desk.chat(**more)) == "none"


def test_a_team_shares_and_another_team_does_not(desk: Desk) -> None:
    kept(desk, desk.chat())
    colleague = add_person(desk, team_id=desk.world.key.team_id, person_name="Kofi Mensah")
    same = hit(desk.chat(headers=colleague))
    stranger = add_person(desk, person_name="Lena Baumann")

    assert (same, hit(desk.chat(headers=stranger))) == ("exact", "none")


def test_keys_without_a_team_share_with_nobody(desk: Desk) -> None:
    alone = add_person(desk, team_id="", team_name="")
    kept(desk, desk.chat(headers=alone))

    assert hit(desk.chat(headers=alone)) == "exact"
    other = add_person(desk, team_id="", team_name="", digest=desk.world.ring.digest(desk.second))
    assert hit(desk.chat(headers=other)) == "none"


def test_another_organisation_finds_nothing(desk: Desk, house: House, upstream: Upstream) -> None:
    kept(desk, desk.chat())
    birch = open_desk(house, upstream)

    assert hit(birch.chat()) == "none"
    birch.close()


def test_another_model_and_a_changed_policy_find_nothing(desk: Desk) -> None:
    desk.world.add_target(desk.world.add_model("aspen"), desk.world.provider, "plain")
    desk.sync()
    kept(desk, desk.chat())

    assert hit(desk.chat("aspen")) == "none"
    desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT)
    desk.sync()
    assert hit(desk.chat()) == "none"


@pytest.mark.parametrize("difference", [{"department": "Legal"}, {"groups": ("interns",)}])
def test_a_colleague_whom_policies_treat_differently_finds_nothing(
    desk: Desk, difference: dict[str, Any]
) -> None:
    scope = Scope(departments=("Legal",)) if "department" in difference else Scope(groups=("interns",))
    desk.world.add_policy(
        "Secrets", "dummy", {"literal": "upstream"}, Action.REDACT, phases=(Phase.OUTPUT,), scope=scope
    )
    colleague = add_person(desk, team_id=desk.world.key.team_id, **difference)
    kept(desk, desk.chat())

    answer = desk.chat(headers=colleague)

    assert hit(answer) == "none"
    assert "[DUMMY]" in text_of(answer)


def test_a_redacted_answer_is_stored_as_it_was_delivered(desk: Desk) -> None:
    desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.REDACT)
    model = desk.scripted(f"text={quote('Card 4111 1111 1111 1111.')}")
    kept(desk, desk.chat(model, stream=True))

    found = desk.chat(model)

    assert hit(found) == "exact"
    assert text_of(found) == "Card [CREDIT_CARD]."


@pytest.mark.parametrize(
    "script", ["events=5;cut=3", "events=5;done=0", "finish=length", "status=500", "text=Bern%20is%20fine"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_broken_cut_and_blocked_answers_are_not_stored(desk: Desk, script: str, stream: bool) -> None:
    desk.world.add_policy("Towns", "dummy", {"literal": "Bern"}, Action.BLOCK, phases=(Phase.OUTPUT,))
    model = desk.scripted(script)
    if not stream and "done" in script:
        # A whole answer has no end mark to miss.
        script = model = desk.scripted("garbage=1")

    first = desk.chat(model, stream=stream)
    desk.chat(model, stream=stream)

    assert len(desk.calls()) == 2
    assert desk.world.client.exists(redis_names.cached(desk.world.org, desk.record(first)["cache_key"])) == 0


def test_a_stored_value_nobody_can_read_is_no_answer(desk: Desk) -> None:
    first = kept(desk, desk.chat())
    desk.world.client.set(
        redis_names.cached(desk.world.org, first.headers["x-smartflow-cache-key"]), b'{"v": 99}'
    )

    assert hit(desk.chat()) == "none"

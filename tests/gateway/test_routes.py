# SPDX-License-Identifier: Apache-2.0
"""Targets in order: what makes a request go on to the next one, and what the client hears when none is left."""

import time

import msgspec
import pytest

from smartflow_site.process import free_port
from tests.gateway.desk import Desk, events, text_of
from tests.upstreams.script import GREETING

NOWHERE = "http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "status", "outcome"),
    [
        ("status=500", 500, "status"),
        ("status=503", 503, "status"),
        ("status=429;retry=7", 429, "status"),
        ("status=401", 401, "status"),
        ("status=403", 403, "status"),
        ("status=404", 404, "status"),
        ("status=302;location=http://127.0.0.1:1/", 302, "status"),
    ],
)
def test_the_second_target_answers(desk: Desk, script: str, status: int, outcome: str, stream: bool) -> None:
    model = desk.scripted(script, fallback="text=Second")

    answer = desk.chat(model, stream=stream)

    assert text_of(answer) == "Second"
    record = desk.record(answer)
    assert [(a["status"], a["outcome"]) for a in record["attempts"]] == [(status, outcome), (200, "ok")]
    assert record["upstream_model"] == "text=Second"
    assert answer.headers["x-smartflow-target"] == "upstream/text=Second"


@pytest.mark.parametrize(
    "script", ["garbage=1", "raw=HTTP/1.1 200 OK%0D%0A%0D%0A", "raw=nonsense", "cut=0", "cut=0;reset=1"]
)
def test_a_useless_json_answer_goes_on_to_the_next(desk: Desk, script: str) -> None:
    model = desk.scripted(script, fallback="text=Second")

    assert text_of(desk.chat(model)) == "Second"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_cannot_be_reached(desk: Desk, stream: bool) -> None:
    nowhere = desk.world.add_provider("nowhere", NOWHERE.format(port=free_port()))
    model = desk.world.add_model("aspen")
    desk.world.add_target(model, nowhere, "plain")
    desk.world.add_target(model, desk.world.provider, "text=Second", rank=1)
    desk.sync()

    answer = desk.chat("aspen", stream=stream)

    assert text_of(answer) == "Second"
    assert [a["outcome"] for a in desk.record(answer)["attempts"]] == ["connect", "ok"]


def test_a_provider_at_an_address_nobody_allowed(desk: Desk) -> None:
    desk.world.add_target(
        desk.world.add_model("aspen"),
        desk.world.add_provider("inside", desk.upstream.url, private_allowed=False),
        "plain",
    )
    desk.sync()

    answer = desk.chat("aspen")

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert [a["outcome"] for a in desk.record(answer)["attempts"]] == ["refused"]
    assert desk.calls() == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_provider_is_left_within_the_time_the_client_gives(desk: Desk, stream: bool) -> None:
    model = desk.scripted("first=60000")

    answer = desk.chat(model, stream=stream, headers={"x-smartflow-timeout-ms": "300"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert [a["outcome"] for a in desk.record(answer)["attempts"]] == ["timeout"]
    assert desk.record(answer)["total_us"] < 50_000_000


def test_a_provider_that_falls_silent_is_left_for_the_next(desk: Desk) -> None:
    mute = desk.world.add_provider("mute", desk.upstream.url, silence_seconds=0.3)
    model = desk.world.add_model("aspen")
    desk.world.add_target(model, mute, "first=60000")
    desk.world.add_target(model, desk.world.provider, "text=Second", rank=1)
    desk.sync()

    for stream in (False, True):
        answer = desk.chat("aspen", stream=stream, temperature=1)
        assert text_of(answer) == "Second"
        assert [a["outcome"] for a in desk.record(answer)["attempts"]] == ["timeout", "ok"]


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_the_clients_own_fault_comes_back_at_once(desk: Desk, status: int, stream: bool) -> None:
    model = desk.scripted(f"status={status}", fallback="text=Second")

    answer = desk.chat(model, stream=stream)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "upstream_rejected")
    assert f"The upstream refuses with {status}." in answer.json()["error"]["message"]
    record = desk.record(answer)
    assert len(record["attempts"]) == 1
    assert record.get("charged", 0) == 0


@pytest.mark.parametrize("status", [401, 403, 404, 302, 500])
def test_a_fault_of_the_provider_is_never_told_as_the_clients(desk: Desk, status: int) -> None:
    model = desk.scripted(f"status={status};location=http://127.0.0.1:1/")

    answer = desk.chat(model)

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert "location" not in answer.headers
    assert "x-upstream" not in answer.headers


def test_a_providers_own_limit_says_when_to_come_back(desk: Desk) -> None:
    answer = desk.chat(desk.scripted("status=429;retry=7"))

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_an_odd_retry_after_is_not_handed_on(desk: Desk) -> None:
    answer = desk.chat(desk.scripted("status=429;retry=tomorrow"))

    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


def test_drained_disabled_and_missing_targets(desk: Desk) -> None:
    world = desk.world
    off = world.add_provider("off", desk.upstream.url, enabled=False)
    drained, disabled = world.add_model("drained"), world.add_model("disabled")
    world.add_target(drained, world.provider, "plain", drained=True)
    world.add_target(disabled, off, "plain")
    world.add_model("bare")
    desk.sync()

    for name in ("drained", "disabled", "bare"):
        answer = desk.chat(name)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_target")


def test_draining_a_target_moves_requests_on(desk: Desk) -> None:
    model = desk.world.add_model("aspen")
    first = desk.world.add_target(model, desk.world.provider, "text=First")
    desk.world.add_target(model, desk.world.provider, "text=Second", rank=1)
    desk.sync()
    before = text_of(desk.chat("aspen", temperature=1))

    desk.world.put("targets", msgspec.structs.replace(first, drained=True))
    desk.sync()

    assert (before, text_of(desk.chat("aspen", temperature=1))) == ("First", "Second")


def test_headers_choose_model_and_provider_where_the_key_may(desk: Desk) -> None:
    other = desk.world.add_provider("other", desk.upstream.url)
    model = desk.world.add_model("aspen")
    desk.world.add_target(model, desk.world.provider, "text=First")
    desk.world.add_target(model, other, "text=Other", rank=1)
    desk.world.add_key(desk.second, may_override_route=True, models=("aspen", "plain"))
    desk.sync()
    mine = {"authorization": f"Bearer {desk.second}"}

    plain = desk.chat("aspen", headers=mine)
    by_provider = desk.chat("aspen", headers=mine | {"x-smartflow-provider": "other"})
    by_model = desk.chat("plain", headers=mine | {"x-smartflow-route-model": "aspen"})
    nobody = desk.chat("aspen", headers=mine | {"x-smartflow-provider": "nobody"})

    assert (text_of(plain), text_of(by_provider), text_of(by_model)) == ("First", "Other", "First")
    assert nobody.json()["error"]["code"] == "no_target"


@pytest.mark.parametrize(
    ("script", "code", "outcome"),
    [
        ("events=5;cut=3", "upstream_error", "cut"),
        ("events=5;cut=3;reset=1", "upstream_error", "cut"),
        ("events=5;done=0", "upstream_error", "cut"),
        ("fault=%7B%22error%22%3A%7B%22message%22%3A%22out+of+memory%22%7D%7D", "upstream_error", "cut"),
        ("fault=nonsense", "upstream_error", "cut"),
        ("fault=%5B1%5D", "upstream_error", "cut"),
    ],
)
def test_a_stream_that_breaks_ends_with_an_error_event(
    desk: Desk, script: str, code: str, outcome: str
) -> None:
    model = desk.scripted(script, fallback="text=Second")

    answer = desk.chat(model, stream=True)

    assert answer.status_code == 200
    assert events(answer)[-1]["error"]["code"] == code
    assert "[DONE]" not in answer.text
    record = desk.record(answer)
    assert (record["error_code"], record["verdict"]) == (code, "failed")
    assert [a["outcome"] for a in record["attempts"]] == [outcome]
    assert record.get("charged", 0) > 0


def test_a_stream_that_falls_silent_ends_with_an_error_event(desk: Desk) -> None:
    mute = desk.world.add_provider("mute", desk.upstream.url, silence_seconds=0.3)
    desk.world.add_target(desk.world.add_model("aspen"), mute, "events=3;last=60000")
    desk.sync()
    began = time.monotonic()

    answer = desk.chat("aspen", stream=True)

    assert events(answer)[-1]["error"]["code"] == "upstream_timeout"
    assert time.monotonic() - began < 50
    assert [a["outcome"] for a in desk.record(answer)["attempts"]] == ["timeout"]


@pytest.mark.parametrize(
    "script",
    ["crlf=1", "comments=1", "drip=1", "drip=7;crlf=1;comments=1", "close=1", "size=300000;split=1000"],
)
def test_streams_arrive_whole_in_whatever_form_they_come(desk: Desk, script: str) -> None:
    model = desk.scripted(script)

    answer = desk.chat(model, stream=True)

    assert text_of(answer).startswith(GREETING)
    assert answer.text.endswith("data: [DONE]\n\n")
    if "size" in script:
        assert len(text_of(answer)) == 300_000


@pytest.mark.parametrize("script", ["chunked=1", "close=1", "drip=3", "size=3000000"])
def test_json_answers_arrive_whole_in_whatever_form_they_come(desk: Desk, script: str) -> None:
    assert text_of(desk.chat(desk.scripted(script))).startswith(GREETING)

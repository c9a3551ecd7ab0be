# SPDX-License-Identifier: Apache-2.0
"""Edits reach a running gateway at once; a Redis that forgot everything is survived and then believed again."""

import json
import threading
from pathlib import Path

import httpx
import msgspec

from apps.core import keyring, redis_names, values
from apps.identity.domain import OrganisationSettings
from apps.keys.domain import Absent, Budget
from apps.policies.domain import Action
from tests.gateway.conftest import Server, eventually, finish, start
from tests.gateway.desk import Desk
from tests.gateway.world import SECRET, World
from tests.upstreams.running import Upstream

HARD, UNSEEN = "sk-sf-" + "cd" * 24, "sk-sf-" + "ef" * 24
BUDGET = Budget(id="bgt_hard", name="Hard", limit=1_000_000)


def code(answer: httpx.Response) -> str:
    found: str = answer.json()["error"]["code"] if answer.status_code != 200 else "ok"
    return found


def test_a_key_that_is_switched_off_is_refused(desk: Desk) -> None:
    before = code(desk.chat())

    desk.world.put_key(msgspec.structs.replace(desk.world.key, enabled=False))

    eventually(lambda: code(desk.chat()) == "disabled_api_key", 10)
    assert before == "ok"


def test_a_key_that_is_deleted_is_refused(desk: Desk) -> None:
    before = code(desk.chat())
    digest = desk.world.key.digest

    desk.world.client.set(redis_names.key(digest), values.encode(Absent(digest=digest)))
    desk.world.edit("keys", digest)

    eventually(lambda: code(desk.chat()) == "invalid_api_key", 10)
    assert before == "ok"


def test_an_edit_nobody_told_is_seen_by_the_slow_poll(desk: Desk) -> None:
    before = code(desk.chat())
    key = msgspec.structs.replace(desk.world.key, models=())

    desk.world.client.set(redis_names.key(key.digest), values.encode(key))
    desk.world.client.hincrby(redis_names.versions(desk.world.org), "keys", 1)

    eventually(lambda: code(desk.chat()) == "model_not_allowed")
    assert before == "ok"


def test_a_key_made_after_it_was_refused_works(desk: Desk) -> None:
    headers = {"authorization": f"Bearer {desk.second}"}
    before = code(desk.chat(headers=headers))

    desk.world.add_key(desk.second)

    eventually(lambda: code(desk.chat(headers=headers)) == "ok", 10)
    assert before == "invalid_api_key"


def test_a_policy_works_from_its_publication_to_its_end(desk: Desk) -> None:
    before = code(desk.chat(text="4111 1111 1111 1111"))

    policy = desk.world.add_policy("Cards", "pii", {"entities": ["CREDIT_CARD"]}, Action.BLOCK)
    eventually(lambda: code(desk.chat(text="4111 1111 1111 1111")) == "policy_blocked", 10)
    desk.world.drop("policies", policy.id)

    eventually(lambda: code(desk.chat(text="4111 1111 1111 1111")) == "ok", 10)
    assert before == "ok"


def test_a_message_nobody_understands_does_no_harm(desk: Desk) -> None:
    for message in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"room": "targets"}',
        b'{"room": "oracle", "id": "x"}',
        b'{"room": "keys", "id": null}',
    ):
        desk.world.client.publish(redis_names.EDITS, message)
    desk.world.client.publish(redis_names.EDITS, json.dumps({"room": "models", "id": "x"}))
    desk.world.client.publish(
        redis_names.EDITS, json.dumps({"room": "models", "id": 7, "organisation_id": []})
    )

    assert code(desk.sync().chat()) == "ok"


def republish(world: World, epoch: str) -> None:
    """What control does after Redis lost everything: all values again, then a new epoch; counters later."""
    world.put("organisations", OrganisationSettings(id=world.org, name="Alder Bank"))
    for room, value in (("providers", world.provider), ("models", world.model)):
        world.put(room, value)
    world.add_target(world.model, world.provider, "plain")
    world.put_rooms()
    world.put_key(world.key)
    world.client.set(redis_names.EPOCH, epoch)
    world.client.publish(redis_names.EDITS, json.dumps({"room": "*"}))


def hard(server: Server) -> str:
    body = {"model": "plain", "messages": [{"role": "user", "content": "Hello"}], "temperature": 1}
    return code(
        server.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {HARD}"})
    )


def test_a_flushed_redis_is_survived_and_believed_again(
    redis_url: str, world: World, ring: keyring.KeyRing, upstream: Upstream, tmp_path: Path
) -> None:
    budgeted = world.add_key(HARD, budgets=(BUDGET,))
    slow = world.add_target(world.add_model("slow"), world.provider, "events=4;first=8000")
    server = start(redis_url, ring, tmp_path)
    try:
        # A request under way when everything is forgotten.
        answers: list[httpx.Response] = []
        body = {"model": "slow", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {HARD}"}
        eventually(lambda: hard(server) == "ok")
        assert code(server.chat(temperature=1)) == "ok"
        before = upstream.stats()["answering"]
        asking = threading.Thread(
            target=lambda: answers.append(
                server.client.post("/v1/chat/completions", json=body, headers=headers)
            )
        )
        asking.start()
        eventually(lambda: upstream.stats()["answering"] > before)

        world.client.flushall()
        for kind in ("normal", "pubsub"):
            world.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        eventually(
            lambda: (
                hard(server) == "admission_unavailable"
                and server.client.get("/readyz").json()["redis"] == "up"
            )
        )

        assert code(server.chat(temperature=1)) == "ok"
        assert hard(server) == "admission_unavailable"
        unseen = server.client.get("/v1/models", headers={"authorization": f"Bearer {UNSEEN}"})
        assert (unseen.status_code, code(unseen)) == (503, "admission_unavailable")

        republish(world, "e2")
        world.put_key(budgeted)
        eventually(lambda: any(world.client.hvals(name) for name in world.client.keys("sf:*:open:*")))
        assert hard(server) == "admission_unavailable"
        assert world.spend(BUDGET)["held"] > 0
        leases = [json.loads(raw) for raw in world.client.hvals(redis_names.LEASES)]
        assert [lease["epoch"] for lease in leases] == ["e2"]

        world.client.set(redis_names.counters(world.org), "e2")

        eventually(lambda: hard(server) == "ok")
        asking.join()
        assert answers[0].status_code == 200
        assert slow.upstream_model == "events=4;first=8000"
        eventually(lambda: world.spend(BUDGET)["held"] == 0)
    finally:
        finish(server)


def test_a_key_is_found_after_its_digest_was_made_anew(
    redis_url: str, world: World, ring: keyring.KeyRing, tmp_path: Path
) -> None:
    rotated = ring.rotated(keyring.Purpose.DIGEST)
    server = start(redis_url, rotated, tmp_path)
    try:
        assert world.key.digest != rotated.digest(SECRET)

        answers = [code(server.chat(text=f"Hello {number}")) for number in range(3)]

        assert answers == ["ok", "ok", "ok"]
    finally:
        finish(server)

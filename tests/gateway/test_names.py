# SPDX-License-Identifier: Apache-2.0
"""Names that clients may ask for: aliases and providers before a model's name, inside what the key allows."""

from typing import Any

import msgspec
import pytest

from apps.core import ids
from apps.core.outcome import Refuse
from apps.gateway.names import Named, index, resolve
from apps.keys.domain import Key
from apps.providers.domain import Model, Provider
from apps.routing.domain import Table, Target
from tests.gateway.desk import Desk, text_of

ORG = "org_1"


def key(**more: Any) -> Key:
    fixed = {"id": "key_1", "organisation_id": ORG, "organisation_name": "O", "digest": "d", "name": "K"}
    return Key(**(fixed | {"hint": "sk…1"} | more))


def model(name: str, **more: Any) -> Model:
    return Model(id=f"mdl_{name}", organisation_id=ORG, name=name, **more)


def provider(name: str, **more: Any) -> Provider:
    return Provider(id=f"prv_{name}", organisation_id=ORG, name=name, base_url="https://x.example/v1", **more)


def target(of: Model, at: Provider, upstream: str, **more: Any) -> Target:
    return Target(
        id=ids.new("tgt"),
        organisation_id=ORG,
        name=f"{at.name} {upstream}",
        model_id=of.id,
        provider_id=at.id,
        upstream_model=upstream,
        **more,
    )


GPT, SMALL = model("gpt-4.1", aliases=("fast",)), model("small")
OPENAI, AZURE = provider("OpenAI", vendor="openai"), provider("azure-eu", vendor="azure")
TARGETS = [
    target(GPT, OPENAI, "gpt-4.1-2025"),
    target(GPT, AZURE, "dep", rank=1),
    target(SMALL, AZURE, "dep"),
]
NAMES = index([GPT, SMALL], {p.id: p for p in (OPENAI, AZURE)}, Table.of(TARGETS))
FREE = key(may_override_route=True)


@pytest.mark.parametrize(
    ("asked", "means"),
    [
        ("fast", Named(GPT)),
        ("OpenAI/gpt-4.1", Named(GPT, frozenset({OPENAI.id}))),
        ("openai/gpt-4.1", Named(GPT, frozenset({OPENAI.id}))),
        ("openai/gpt-4.1-2025", Named(GPT, frozenset({OPENAI.id}))),
        ("azure/gpt-4.1", Named(GPT, frozenset({AZURE.id}))),
        # All targets of this model are there: nothing is chosen.
        ("azure-eu/small", Named(SMALL)),
    ],
)
def test_what_a_name_stands_for(asked: str, means: Named) -> None:
    assert resolve(NAMES, FREE, asked) == means


def refused(asked: str, key_: Key) -> Refuse:
    found = resolve(NAMES, key_, asked)
    assert isinstance(found, Refuse)
    return found


def test_a_key_that_may_not_choose_keeps_the_routing() -> None:
    said = refused("openai/gpt-4.1", key())
    assert said.code == "override_not_allowed"
    assert "Ask for “gpt-4.1” instead" in said.message
    assert resolve(NAMES, key(), "azure-eu/small") == Named(SMALL)
    assert resolve(NAMES, key(), "fast") == Named(GPT)


def test_lists_of_a_key_go_by_the_model_s_own_name() -> None:
    assert refused("fast", key(models=("small",))).code == "model_not_allowed"
    assert refused("fast", key(models=("fast",))).code == "model_not_allowed"
    assert resolve(NAMES, key(models=("gpt-*",)), "fast") == Named(GPT)


def test_a_deployment_that_serves_two_models_stands_for_the_one_that_the_key_allows() -> None:
    assert resolve(NAMES, key(models=("small",)), "azure/dep") == Named(SMALL)
    only = resolve(NAMES, key(models=("gpt-4.1",), may_override_route=True), "azure/dep")
    assert only == Named(GPT, frozenset({AZURE.id}))


@pytest.mark.parametrize(
    "asked", ["", "/", "openai/", "openai/small", "nobody/gpt-4.1", "gpt-4.1/openai", "FAST"]
)
def test_what_stands_for_nothing(asked: str) -> None:
    assert refused(asked, FREE).code == "model_not_found"


def test_drained_targets_disabled_models_and_absent_providers_have_no_names() -> None:
    off = model("off", aliases=("old",), enabled=False)
    table = Table.of(
        [target(GPT, OPENAI, "x", drained=True), target(GPT, AZURE, "y"), target(off, OPENAI, "z")]
    )
    names = index([GPT, off], {OPENAI.id: OPENAI}, table)
    assert set(names) == {"fast"}


def test_an_alias_over_a_socket(desk: Desk) -> None:
    world = desk.world
    aspen = world.add_model("aspen", aliases=("fast",))
    world.add_target(aspen, world.provider, "text=Aspen")
    desk.sync()

    answer = desk.chat("fast")

    assert text_of(answer) == "Aspen"
    record = desk.record(answer)
    assert (record["model_asked"], record["model"]) == ("fast", "aspen")
    world.put("models", msgspec.structs.replace(aspen, aliases=()))
    desk.sync()
    assert desk.chat("fast").json()["error"]["code"] == "model_not_found"


def test_a_provider_before_the_name_over_a_socket(desk: Desk) -> None:
    world = desk.world
    aspen, second = world.add_model("aspen"), world.add_provider("second", desk.upstream.url, vendor="groq")
    world.add_target(aspen, world.provider, "text=First")
    world.add_target(aspen, second, "text=Second", rank=1)
    world.put_key(msgspec.structs.replace(world.key, may_override_route=True))
    desk.sync()

    assert text_of(desk.chat("aspen")) == "First"
    for name in ("second/aspen", "groq/aspen", "second/text=Second"):
        answer = desk.chat(name)
        assert text_of(answer) == "Second", name
        record = desk.record(answer)
        assert (record["model_asked"], record["model"], record["provider"]) == (name, "aspen", "second")
    # What another provider answered before is no answer to this.
    assert not desk.record(desk.chat("second/aspen")).get("cache_hit")

    world.put_key(world.key)
    desk.sync()
    said = desk.chat("second/aspen")
    assert (said.status_code, said.json()["error"]["code"]) == (403, "override_not_allowed")


@pytest.mark.parametrize("stream", [False, True])
def test_a_vendor_s_quirks_over_a_socket(desk: Desk, stream: bool) -> None:
    world = desk.world
    aspen = world.add_model("aspen")
    groq = world.add_provider("fitted", desk.upstream.url, vendor="groq")
    world.add_target(aspen, groq, "text=Aspen")
    desk.sync()

    said = desk.chat("aspen", stream=stream, n=2)
    assert (said.status_code, said.json()["error"]["param"]) == (400, "n")
    assert "x-smartflow-drop-params" in said.json()["error"]["message"]
    answer = desk.chat("aspen", stream=stream, n=2, headers={"x-smartflow-drop-params": "true"})
    assert text_of(answer) == "Aspen"
    assert text_of(desk.chat("aspen", stream=stream, n=1)) == "Aspen"

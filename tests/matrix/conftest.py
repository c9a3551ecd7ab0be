# SPDX-License-Identifier: Apache-2.0
"""A gateway in front of three strict upstreams, and the page that a run writes."""

import base64
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.core import ids, keyring, redis_names
from apps.core.keyring import KeyRing, Purpose
from apps.providers.dialects import TABLE
from smartflow_site.process import stop
from smartflow_site.stores import Valkey, run_store
from tests.gateway.conftest import finish, start
from tests.gateway.desk import Desk
from tests.gateway.world import World, connect
from tests.matrix import page
from tests.matrix.cells import MODELS, PROVIDERS
from tests.matrix.seen import Endpoint
from tests.upstreams.running import Upstream, running

# Of a provider and whether its thinking model is meant.
Endpoints = Callable[[str, bool], Endpoint]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--matrix-page FILE` writes what the run found."""
    parser.addoption("--matrix-page", type=Path, help="write the compatibility page here")


def pytest_configure(config: pytest.Config) -> None:
    """Collect results where the page is written: not in a worker."""
    if config.getoption("--matrix-page", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(page.Collector(Path(config.getoption("--matrix-page"))))


@pytest.fixture(scope="session")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    """The three providers."""
    folder = tmp_path_factory.mktemp("providers")
    with (
        running(folder / "openai", strict=True, bodies=True) as openai,
        running(folder / "anthropic", server="anthropic", bodies=True) as anthropic,
        running(folder / "gemini", server="gemini", bodies=True) as gemini,
    ):
        yield {"openai": openai, "anthropic": anthropic, "gemini": gemini}


@pytest.fixture(scope="session")
def endpoints(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Endpoints]:
    """Where clients are pointed: one organisation whose models stand for the providers' models."""
    folder = tmp_path_factory.mktemp("matrix")
    store = Valkey(folder / "store", durable=False)
    process = run_store(store)
    ring = keyring.fresh()
    try:
        with connect(store.url()) as client:
            client.set(redis_names.EPOCH, "e1")
        world = World(connect(store.url()), ring, secret="sk-sf-" + secrets.token_hex(24))
        world.begin(upstreams["openai"].url)
        for name in PROVIDERS:
            publish(world, ring, name, upstreams[name])
        server = start(store.url(), ring, folder / "gateway")
        desk = Desk(server, world, upstreams["openai"])
        try:
            desk.sync()
            yield lambda name, thinks: Endpoint(server.url, world.secret, alias(name, thinks))
        finally:
            desk.close()
            finish(server)
    finally:
        stop(process, signal.SIGKILL, 10)


def alias(provider: str, thinks: bool) -> str:
    """The name that clients know a provider's model by."""
    return f"{provider}-{'thinker' if thinks else 'plain'}"


def publish(world: World, ring: KeyRing, name: str, upstream: Upstream) -> None:
    """A provider with a credential, and its two models; a dialect that the gateway lacks leaves its cells red."""
    if name not in TABLE:
        return
    identity = ids.new("prv")
    sealed = base64.b64encode(ring.seal(Purpose.FIELD, b"none", identity)).decode()
    provider = world.add_provider(name, upstream.url, id=identity, dialect=name, credential=sealed)
    for thinks, model in enumerate(MODELS[name]):
        known = world.add_model(alias(name, bool(thinks)), output_cap=8000)
        world.add_target(known, provider, model, name=f"{name}/{thinks}")

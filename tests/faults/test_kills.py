# SPDX-License-Identifier: Apache-2.0
"""Parts of an installation are killed under load, again and again: no answer that completed lacks its record, none is
recorded twice, every interrupted exchange is closed as such, and budgets have counted exactly what the records say.

The oracle is what clients saw and what the upstream's own log says. It is tested too: with a journal that writes
nothing it must find every answer missing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.clients import AT_ONCE, Clients
from tests.faults.installation import Installation, eventually
from tests.faults.oracle import Disagreements, Outcome, judge
from tests.upstreams.running import Upstream

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

# So slow that most questions are with the provider at any moment.
SCRIPT = "first=200;events=6;gap=20"
# Answers of each key between two kills.
SOME = 16
FEW = 2


@dataclass(frozen=True)
class Scene:
    """A gateway that 32 clients ask."""

    installation: Installation
    upstream: Upstream
    clients: Clients
    gateway: str


def kill_gateway(scene: Scene) -> None:
    """While half of the clients at least have their question with the provider."""
    eventually(lambda: scene.upstream.stats()["answering"] >= AT_ONCE // 2, "questions are under way")
    scene.installation.kill(scene.gateway)
    scene.installation.start(scene.gateway)


def kill_shipper(scene: Scene) -> None:
    """The next one goes on where the journal says."""
    scene.installation.kill("shipper")
    scene.installation.start("shipper")
    ship_some(scene)


def kill_postgresql(scene: Scene) -> None:
    """While the shipper is at work; clients notice nothing."""
    ship_some(scene)
    scene.installation.kill("postgres")
    answer_some(scene)
    scene.installation.start_store("postgres")


def kill_valkey(scene: Scene) -> None:
    """It comes back with what it had; meanwhile the key without a hard limit is served and the other refused."""
    scene.installation.kill("valkey")
    serve_without_counters(scene)
    scene.installation.start_store("valkey")


def empty_valkey(scene: Scene) -> None:
    """It comes back empty, is published afresh, and its counters are rebuilt."""
    scene.installation.kill("valkey")
    serve_without_counters(scene)
    scene.installation.forget()
    scene.installation.start_store("valkey")


def lose_valkey_and_gateway(scene: Scene) -> None:
    """Both go at once, and the store comes back empty: only the journal knows what was under way."""
    eventually(lambda: scene.upstream.stats()["answering"] >= AT_ONCE // 2, "questions are under way")
    scene.installation.kill("valkey")
    scene.installation.kill(scene.gateway)
    scene.installation.forget()
    scene.installation.start_store("valkey")
    scene.installation.start(scene.gateway)


Harm = Callable[[Scene], None]
HARMS: dict[str, tuple[Harm, int]] = {
    "gateway": (kill_gateway, 20),
    "shipper": (kill_shipper, 20),
    "postgresql": (kill_postgresql, 20),
    "valkey": (kill_valkey, 20),
    # Each takes as long as a rebuild.
    "valkey emptied": (empty_valkey, 5),
}
TOGETHER: dict[str, tuple[Harm, int]] = {"valkey and gateway lost": (lose_valkey_and_gateway, 5)}


def answer_some(scene: Scene) -> None:
    """Wait until both keys got answers."""
    for key in scene.clients.office.secrets:
        enough = scene.clients.answered(key) + SOME
        eventually(lambda key=key, enough=enough: scene.clients.answered(key) >= enough, f"{key} is served")


def serve_without_counters(scene: Scene) -> None:
    """Wait until the one key got answers and the other one refusals."""
    clients = scene.clients
    served, refused = clients.answered("counted") + SOME, clients.answered("hard", 503)
    eventually(lambda: clients.answered("counted") >= served, "the key without a limit is served")
    eventually(lambda: clients.answered("hard", 503) > refused, "the key with a hard limit is refused")


def ship_some(scene: Scene) -> None:
    """Wait until records come in; from a gateway that journals nothing none do."""
    if scene.gateway != "gateway":
        return
    before = scene.installation.recorded(scene.clients.office)
    eventually(lambda: scene.installation.recorded(scene.clients.office) > before, "records are shipped")


def run(installation: Installation, upstream: Upstream, gateway: str, harm: Harm, runs: int) -> Outcome:
    """Do harm so many times while clients ask, wait until everything has arrived, and judge."""
    office = installation.office(upstream.url, SCRIPT)
    installation.start(gateway)
    scene = Scene(installation, upstream, Clients(installation.url, office), gateway)
    with scene.clients.asking():
        for _ in range(runs):
            answer_some(scene)
            harm(scene)
        answer_some(scene)
    installation.settle()
    outcome = judge(installation, office, scene.clients.log, upstream)
    print(f"\n{harm.__name__} x {runs}, {gateway}: {outcome}")
    return outcome


@pytest.mark.parametrize("killed", [*HARMS, *TOGETHER])
def test_every_answer_has_one_record(killed: str, installation: Installation, upstream: Upstream) -> None:
    harm, runs = (HARMS | TOGETHER)[killed]

    outcome = run(installation, upstream, "gateway", harm, runs)

    assert outcome.wrong == Disagreements(), outcome.wrong
    assert outcome.whole >= runs * SOME
    if "gateway" in killed:
        assert outcome.broken >= outcome.interrupted >= runs
    else:
        # Nobody else's end breaks an answer off.
        assert (outcome.broken, outcome.interrupted) == (0, 0)
    assert "Traceback" not in installation.log("gateway")


@pytest.mark.parametrize("killed", HARMS)
def test_the_oracle_misses_what_no_journal_kept(
    killed: str, installation: Installation, upstream: Upstream
) -> None:
    outcome = run(installation, upstream, "forgetful gateway", HARMS[killed][0], FEW)

    assert outcome.whole >= FEW * SOME
    assert len(outcome.wrong.lacking) == outcome.whole
    assert outcome.wrong.counters

# SPDX-License-Identifier: Apache-2.0
"""The base line of the matrix: each official client in front of its own provider's stand-in, with nothing between."""

from collections.abc import Iterator

import pytest

from tests.matrix.cells import CLIENTS, MODELS, OWN, UNSAYABLE, Cell
from tests.matrix.faults import BEFORE, WITHIN
from tests.matrix.features import ROWS, Row
from tests.matrix.seen import Endpoint
from tests.upstreams.running import Upstream, running

# Whether a client can see that a stream was cut is its own affair; the gateway makes sure of it.
_WITHIN = {name: row for name, row in WITHIN.items() if name != "stream cut"}


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    folder = tmp_path_factory.mktemp("upstreams")
    with (
        running(folder / "openai", strict=True, bodies=True) as openai,
        running(folder / "anthropic", server="anthropic", bodies=True) as anthropic,
        running(folder / "gemini", server="gemini", bodies=True) as gemini,
    ):
        yield {"openai": openai, "anthropic": anthropic, "gemini": gemini}


def cell_of(upstreams: dict[str, Upstream], client: str, *, stream: bool) -> Cell:
    provider = OWN[client]
    plain, thinker = (Endpoint(upstreams[provider].root, "none", model) for model in MODELS[provider])
    return Cell(CLIENTS[client], provider, plain, thinker, stream, direct=True)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("feature", "row"),
    [*ROWS.items(), *BEFORE.items()],
    ids=[*ROWS, *(name.replace("'", "") for name in BEFORE)],
)
async def test_a_client_and_its_own_provider(
    upstreams: dict[str, Upstream], client: str, feature: str, row: Row, stream: bool
) -> None:
    if (feature, client) in UNSAYABLE:
        return
    await row(cell_of(upstreams, client, stream=stream))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("row", _WITHIN.values(), ids=_WITHIN)
async def test_faults_in_the_middle(upstreams: dict[str, Upstream], client: str, row: Row) -> None:
    await row(cell_of(upstreams, client, stream=True))

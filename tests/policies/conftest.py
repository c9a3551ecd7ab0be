# SPDX-License-Identifier: Apache-2.0
"""Two organisations for the tests of policies as rows."""

import pytest

from apps.changes.domain import Role
from tests.control import House, house


@pytest.fixture
def acme(db: None) -> House:
    """An organisation with everybody who may do something about policies."""
    return house("Acme", Role.COMPLIANCE, Role.ADMIN, Role.ENGINEER, Role.AUDITOR, Role.DEVELOPER)


@pytest.fixture
def other(db: None) -> House:
    """Another organisation."""
    return house("Other", Role.COMPLIANCE)

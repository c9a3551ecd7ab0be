# SPDX-License-Identifier: Apache-2.0
"""Records for the audit room's tests, and tables that are empty at the start of each."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.audit.domain import Record, Stage, UsageSource
from apps.core import ids
from tests.conftest import Stores

TABLES = "audit_record, audit_body, audit_shipped, audit_open, audit_total, audit_spend, audit_correction, audit_reveal"


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A finished exchange of 1,234 micro-dollars, of now; every field can be given."""

    def make(**fields: Any) -> Record:
        given = {
            "id": ids.new("req"),
            "organisation_id": "org_a",
            "key_id": "key_a",
            "person_id": "per_anna",
            "person_name": "Anna Berg",
            "model": "small",
            "status": 200,
            "input_tokens": 10,
            "output_tokens": 20,
            "usage_source": UsageSource.PROVIDER,
            "cost": Decimal("0.0012335"),
            "charged": 1234,
            "reserved": 5000,
            "budget_ids": ("bgt_a",),
            "total_us": 900,
            "upstream_us": 700,
            "stages": (Stage("identify", 0, 5), Stage("send", 5, 700)),
        }
        return Record(**{**given, **fields})

    return make


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """A folder for journals."""
    return tmp_path / "journal"


@pytest.fixture
def database(stores: Stores) -> Iterator["psycopg.Connection[Any]"]:
    """The application role's own connection, seeing every organisation; the room's tables are empty."""
    with psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES}")
        connection.execute("SELECT set_config('smartflow.organisation', '*', false)")
        yield connection
        connection.execute(f"TRUNCATE {TABLES}")

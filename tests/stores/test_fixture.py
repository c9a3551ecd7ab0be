# SPDX-License-Identifier: Apache-2.0
"""The stores that the other tests stand on."""

import psycopg
import redis

from tests.conftest import Stores


def test_both_stores_answer_to_their_urls(stores: Stores) -> None:
    with psycopg.connect(stores.database_url) as connection:
        row = connection.execute("select current_user, current_database()").fetchone()
    assert row == ("smartflow_app", stores.database)
    client = redis.Redis.from_url(stores.redis_url)
    assert client.ping()
    client.close()


def test_the_application_role_cannot_create_tables_or_see_past_row_security(stores: Stores) -> None:
    with psycopg.connect(stores.database_url) as connection:
        row = connection.execute(
            "select rolsuper, rolbypassrls, rolcreatedb, has_schema_privilege('public', 'CREATE')"
            " from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == (False, False, False, False)

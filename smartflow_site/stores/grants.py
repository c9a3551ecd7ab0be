# SPDX-License-Identifier: Apache-2.0
"""Lets the application role work with what the owner role made: `python -m smartflow_site.stores.grants`."""

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from smartflow_site.env import Env, load_or_exit

_STATEMENTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
)


def grant(env: Env) -> bool:
    """Grant table rights to the role of DATABASE_URL as the owner; False when both are one role."""
    role = conninfo_to_dict(env.database_url).get("user")
    if not role or role == conninfo_to_dict(env.owner_url).get("user"):
        return False
    with psycopg.connect(env.owner_url, connect_timeout=10) as connection:
        for statement in _STATEMENTS:
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(str(role))))
    return True


if __name__ == "__main__":
    grant(load_or_exit())

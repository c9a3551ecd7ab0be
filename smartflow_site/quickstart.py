# SPDX-License-Identifier: Apache-2.0
"""A first organisation to try things with: `python -m smartflow_site.quickstart`; safe to run again and at once.

Secrets go into a private file and nowhere else; what is printed are notes for whoever starts the system.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smartflow_site import rowsonly, welcome
from smartflow_site.env import Env, EnvError, exit_with, load_or_exit, require
from smartflow_site.secretfile import private_folder

ADMIN = "admin@smartflow.local"


def main() -> int:
    """Make what is missing, keep what is there, and write the file."""
    env = load_or_exit()
    try:
        require(env, "database_url", "redis_url")
    except EnvError as fault:
        exit_with(fault)
    rowsonly.set_up()
    with _alone(env.var):
        for sentence in make(env):
            print(f"{welcome.NOTE}{sentence}")
    return 0


def make(env: Env) -> list[str]:
    """Seed the database and write the file; sentences about what is not as one would expect."""
    # Rows can be imported only after Django is set up.
    from smartflow_site import seed

    path = env.var / welcome.FILE
    known = welcome.read(path)
    kept = seed.Kept(
        api_key=known.get("SMARTFLOW_API_KEY", ""),
        password=known.get("SMARTFLOW_ADMIN_PASSWORD", ""),
        token=known.get("SMARTFLOW_ADMIN_TOKEN", ""),
    )
    made, notes = seed.seed(ADMIN, kept, env.local_model_url)
    welcome.write(
        path,
        {
            "SMARTFLOW_URL": env.address,
            "SMARTFLOW_API_KEY": made.api_key,
            "SMARTFLOW_ADMIN_USER": ADMIN,
            "SMARTFLOW_ADMIN_PASSWORD": made.password,
            "SMARTFLOW_ADMIN_TOKEN": made.token,
        },
    )
    return notes


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """One at a time on this machine: between the commit and the file nobody else may begin."""
    with (private_folder(var) / ".quickstart.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL as root where user namespaces are refused: a spare user, and nobody's folder opened."""

import os
import pwd
import shutil
import signal
from pathlib import Path

import psycopg
import pytest

from smartflow_site.process import stop
from smartflow_site.stores import Postgres, confine, run_store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to drop to")


def test_without_namespaces_root_drops_to_a_spare_user_under_a_named_folder(var: Path) -> None:
    base = confine.spare_base(var)
    parent_was_there = base.parent.exists()
    modes = [(folder, folder.stat().st_mode) for folder in (var, *var.parents)]
    try:
        postgres = Postgres(var, namespaces=False)
        server = run_store(postgres)
        assert str(base) in postgres.note
        user = Path(f"/proc/{server.pid}").stat().st_uid
        assert user == pwd.getpwnam("nobody").pw_uid
        assert postgres.data.stat().st_uid == user
        with psycopg.connect(postgres.url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert stop(server, signal.SIGINT, 60)
        # A later run finds the data again, although namespaces work now.
        again = Postgres(var)
        assert again.data == postgres.data
        server = run_store(again)
        assert stop(server, signal.SIGINT, 60)
        assert [(folder, folder.stat().st_mode) for folder, _ in modes] == modes
    finally:
        shutil.rmtree(base, ignore_errors=True)
        if not parent_was_there:
            base.parent.rmdir()

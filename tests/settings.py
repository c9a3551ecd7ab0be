# SPDX-License-Identifier: Apache-2.0
"""Settings of a test run: its own folder and its own stores, whose addresses are known before they start."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from smartflow_site.stores import Postgres, Valkey
from smartflow_site.stores.run import addresses

# The first process of a run makes the folder; its xdist workers inherit the name.
if "SMARTFLOW_TEST_VAR" not in os.environ:
    os.environ["SMARTFLOW_TEST_VAR"] = tempfile.mkdtemp(prefix="smartflow-tests-")
    os.environ["SMARTFLOW_TEST_PID"] = str(os.getpid())
    # A run that ends before its first test has no session to clean up after.
    atexit.register(shutil.rmtree, os.environ["SMARTFLOW_TEST_VAR"], ignore_errors=True)
SHARED = Path(os.environ["SMARTFLOW_TEST_VAR"])
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# One PostgreSQL for the run with a database per worker, one Valkey per worker: its channels know no databases.
POSTGRES = Postgres(SHARED / "postgres", durable=False)
VALKEY = Valkey(SHARED / WORKER, durable=True)
VALKEY.prepare()

for _name in [
    name for name in os.environ if name.startswith("SMARTFLOW_") and not name.startswith("SMARTFLOW_TEST_")
]:
    del os.environ[_name]
os.environ |= {"SMARTFLOW_VAR": str(SHARED / WORKER), **addresses(POSTGRES, VALKEY)}
os.environ["SMARTFLOW_ALLOWED_HOSTS"] = "localhost,127.0.0.1,testserver"

from smartflow_site.settings import *  # noqa: E402, F403 - it reads the environment set above
from smartflow_site.settings import DATABASES  # noqa: E402

# Threads of tests come and go; a pool would keep their connections.
DATABASES["default"]["OPTIONS"].pop("pool")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

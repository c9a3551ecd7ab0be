# SPDX-License-Identifier: Apache-2.0
"""Settings for commands that read the code alone: there is no database to wait for."""

from smartflow_site.settings import *  # noqa: F403 - it is those settings, but for the database

DATABASES = {alias: {"ENGINE": "django.db.backends.dummy"} for alias in ("default", "owner")}

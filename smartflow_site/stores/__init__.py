# SPDX-License-Identifier: Apache-2.0
"""Embedded stores: real PostgreSQL and Valkey servers from wheels, run under one folder."""

from smartflow_site.stores.postgres import Postgres
from smartflow_site.stores.store import StoreError, run_store
from smartflow_site.stores.valkey import Valkey

__all__ = ["Postgres", "StoreError", "Valkey", "run_store"]

# SPDX-License-Identifier: Apache-2.0
"""The control half's Redis client; gateways have their own in `redis.py`."""

import functools

import redis
from django.conf import settings


@functools.cache
def client() -> "redis.Redis":
    """The shared client of this process, with deadlines on every call."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30
    )

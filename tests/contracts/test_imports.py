# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, beyond what `lint-imports` can say: models are private, the hot path loads no Django."""

import subprocess
import sys
from functools import cache

import grimp
import pytest

from smartflow_site.env import ROOT
from tests.contracts import sources

# Modules of a room that may know its rows; `services` and the others may be packages.
KNOW_MODELS = {
    "admin", "api", "apps", "checks", "forms", "migrations", "models", "publish", "selectors", "services", "tasks",
}  # fmt: skip
# What a room does with its own rows beyond the vocabulary: identity finds out who somebody is.
ALSO = {"identity": {"authentication", "signin", "tokens"}}
DJANGO = ("django", "rest_framework", "channels", "celery")
# What a gateway must not carry either: the embedder is loaded on first use, in a thread or process.
HEAVY = (*DJANGO, "numpy", "onnxruntime", "tokenizers")


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("apps", "smartflow_site", include_external_packages=True, cache_dir=None)


def rooms() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("apps/*/__init__.py"))


@pytest.mark.parametrize("room", rooms())
def test_rows_are_private_to_their_room(room: str) -> None:
    models = f"apps.{room}.models"
    if models not in graph().modules:
        assert not (ROOT / "apps" / room / "models.py").exists()
        return
    inside = {models} | graph().find_descendants(models)
    importers = {name for part in inside for name in graph().find_modules_that_directly_import(part)} - inside
    strangers = {name for name in importers if not _may_know(name, room)}
    assert strangers == set()


def _may_know(importer: str, room: str) -> bool:
    """`apps.keys.services.budgets` may know the rows of keys; so may `admin_scope`, a part of `admin`."""
    parts = importer.split(".")
    if parts[:2] != ["apps", room] or len(parts) < 3:
        return False
    return parts[2].split("_")[0] in KNOW_MODELS or parts[2] in ALSO.get(room, ())


def hot() -> list[str]:
    """Every module that the rule keeps apart from Django."""
    kinds = ("domain", "stage", "store")
    found = []
    for path in sources.python(shipped=True):
        parts = path.with_suffix("").parts
        if (
            parts[0] == "apps"
            and len(parts) > 2
            and (parts[1] in {"gateway", "vectors"} or parts[2] in kinds)
        ):
            found.append(".".join(parts).removesuffix(".__init__"))
    return sorted(found)


@pytest.mark.parametrize("module", hot())
def test_the_hot_path_loads_no_django(module: str) -> None:
    unwanted = DJANGO if module.startswith("apps.vectors") else HEAVY
    code = f"import {module}, sys; print(*sorted(m for m in {unwanted!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == []

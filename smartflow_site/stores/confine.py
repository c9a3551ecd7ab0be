# SPDX-License-Identifier: Apache-2.0
"""As whom PostgreSQL runs: it refuses root, and nobody's folders may be opened up for it."""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from smartflow_site.stores.store import StoreError

_INNER_ID = "1000"


@dataclass(frozen=True, slots=True)
class Confinement:
    """`prefix` goes before each argv; with `uid`, data and binaries live under `base` instead of var."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    base: Path | None = None

    def hand_over(self, path: Path) -> None:
        """Give a path we just made to the user the server runs as."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)


def choose(var: Path, *, namespaces: bool = True) -> Confinement:
    """An ordinary user runs it plainly; root in a user namespace, or as a spare user where that is refused."""
    if os.geteuid() != 0:
        return Confinement()
    base = spare_base(var)
    if namespaces and not (base / "postgres").exists() and namespace_works():
        return Confinement(prefix=_namespace())
    return Confinement(uid=_spare_uid(base), base=base)


def namespace_works() -> bool:
    """Whether this machine lets us map root to an ordinary id; tried, because no flag tells."""
    try:
        tried = subprocess.run([*_namespace(), "true"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def spare_base(var: Path) -> Path:
    """The world-traversable folder that stands in for var when the server runs as another user."""
    digest = hashlib.sha256(str(var.resolve()).encode()).hexdigest()[:12]
    return Path("/var/lib/smartflow") / digest


def copy_binaries(source: Path, base: Path) -> Path:
    """The server's files where another user can read them; copied again when the source changed."""
    stamp_text = f"{source.resolve()} {(source / 'bin' / 'postgres').stat().st_mtime_ns}"
    target, stamp = binaries(source, base), base / "server.stamp"
    with contextlib.suppress(FileNotFoundError):
        if stamp.read_text(encoding="utf-8") == stamp_text:
            return target
    fresh = base / "server.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh / source.parent.name / source.name, symlinks=True)
    # A repaired wheel keeps its libraries beside its package, and its programs look for them there.
    libraries = source.parent.with_name(f"{source.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    shutil.rmtree(base / "server", ignore_errors=True)
    fresh.rename(base / "server")
    stamp.write_text(stamp_text, encoding="utf-8")
    return target


def binaries(source: Path, base: Path) -> Path:
    """Where the copy of an installation folder is, in the same place relative to its libraries."""
    return base / "server" / source.parent.name / source.name


def make_base(base: Path) -> None:
    """Make the stand-in folder; only folders made here get a mode."""
    for folder in (base.parent, base):
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)


def _namespace() -> tuple[str, ...]:
    return ("unshare", "--user", f"--map-user={_INNER_ID}", f"--map-group={_INNER_ID}", "--")


def _spare_uid(base: Path) -> int:
    """The owner of existing data, else the powerless account every system has; initdb wants one with a name."""
    with contextlib.suppress(FileNotFoundError):
        return (base / "postgres").stat().st_uid
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise StoreError(
            "PostgreSQL does not run as root, and neither user namespaces nor an account `nobody` are here:"
            " start Smartflow as an ordinary user or set DATABASE_URL."
        ) from None

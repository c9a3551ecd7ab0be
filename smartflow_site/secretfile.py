# SPDX-License-Identifier: Apache-2.0
"""Files only their owner may read: written whole or not at all, made once."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def private_folder(path: Path) -> Path:
    """The folder, made with mode 700 if it was missing; parents are left as they are."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace the file with the text, mode 600, in one step."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def keep_secret(path: Path, size: int = 24) -> str:
    """The secret in the file; made on first use, the same for every process that races for it."""
    with contextlib.suppress(FileNotFoundError):
        if known := path.read_text(encoding="utf-8").strip():
            return known
    made = secrets.token_hex(size)
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(name, path)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip() or _replace_empty(Path(name), path, made)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
    return made


def _replace_empty(source: Path, path: Path, made: str) -> str:
    """An empty secret file is what a full disk leaves behind: it holds nothing worth keeping."""
    source.replace(path)
    return made

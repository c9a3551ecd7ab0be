# SPDX-License-Identifier: Apache-2.0
"""What a newcomer is told: read from the private file, so that no secret passes through a log."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from smartflow_site.localmodel import MODEL_NAME
from smartflow_site.secretfile import write_private

FILE = "quickstart.env"
NOTE = "note: "


def read(path: Path) -> dict[str, str]:
    """NAME=value lines of the file; empty when it is not there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file, mode 600, where it differs."""
    if read(path) != dict(values):
        write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))


def notes(output: str) -> list[str]:
    """The sentences that the seeding step has for its reader."""
    return [line.removeprefix(NOTE) for line in output.splitlines() if line.startswith(NOTE)]


def block(path: Path, said: Iterable[str], *, has_model: bool) -> str:
    """Address, sign-in, key and a line to try; empty when there is no file."""
    values = read(path)
    if not values:
        return ""
    url, key = values["SMARTFLOW_URL"], values["SMARTFLOW_API_KEY"]
    rows = [
        ("Open", url),
        ("Sign in", f"{values['SMARTFLOW_ADMIN_USER']}  {values['SMARTFLOW_ADMIN_PASSWORD']}"),
        ("Key", key),
        ("Kept in", str(path)),
    ]
    lines = [f"  {name:<8} {text}" for name, text in rows]
    lines += ["", f"  {curl(url, key, has_model=has_model)}"]
    lines += ["", *(f"  {sentence}" for sentence in said)] if said else []
    return "\n".join(lines)


def curl(url: str, key: str, *, has_model: bool) -> str:
    """One line that shows the gateway at work; without a model, that there is none yet."""
    head = f"curl -sS {url}/v1/chat/completions" if has_model else f"curl -sS {url}/v1/models"
    line = f"{head} -H 'authorization: Bearer {key}'"
    if not has_model:
        return line
    body = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Say hello in one sentence."}]}
    return f"{line} -H 'content-type: application/json' -d '{json.dumps(body)}'"

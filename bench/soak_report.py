# SPDX-License-Identifier: Apache-2.0
"""The section of docs/benchmarks.md that a soak writes; the rest of the page comes from other runs and stays."""

from dataclasses import asdict
from pathlib import Path

import msgspec

from apps.core import clock
from bench.conditions import machine, versions
from bench.soak import MIX, MOST_FILES, MOST_GROWTH, Soaked

_TITLE = "## Soak"
_KINDS = {
    "json": "JSON answers",
    "streams": "streams to their end",
    "refused": "refusals (strange key, no key, unknown model and path, no JSON, wrong type, no HTTP)",
    "left": "clients that left (in their body, before the answer, in the stream)",
}


def section(soaked: Soaked, client: str) -> str:
    """The section, from its title on."""
    warm, last = soaked.warm, soaked.samples[-1]
    lines = [
        _TITLE,
        "",
        "Made by `make bench ARGS='--soak N --publish'`; one gateway process, Lean, every answer checked.",
        "",
        f"- Date: {clock.now():%Y-%m-%d %H:%M} UTC",
        f"- Machine: {machine()}",
        f"- Upstream client: {client}",
        f"- Versions: {', '.join(f'{name} {number}' for name, number in versions().items())}",
        *(f"- {count:,} {_KINDS[kind]}" for kind, count in soaked.counts.items()),
        "",
        "| requests | memory, MB | open descriptors |",
        "|---|---|---|",
    ]
    lines += [
        f"| {sample.requests:,} | {sample.mb:.1f} | {sample.files} |"
        for number, sample in enumerate(soaked.samples)
        if number in {0, 1} or number % max(1, len(soaked.samples) // 10) == 0
    ]
    grown = f"{soaked.growth:+.1%} ({soaked.bytes_per_request:+.0f} bytes a request)"
    verdict = "flat" if soaked.flat else "NOT flat"
    lines += ["", f"From {warm.requests:,} to {last.requests:,} requests: memory {grown},"]
    lines += [
        f"descriptors {last.files - warm.files:+d}. That is {verdict}: at most {MOST_GROWTH:+.0%} and {MOST_FILES:+d} are."
    ]
    return "\n".join([*lines, ""])


def kept(page: Path) -> str:
    """The section that a page has, with the empty line before it; empty when it has none."""
    try:
        found = page.read_text(encoding="utf-8").partition(f"\n{_TITLE}\n")
    except FileNotFoundError:
        return ""
    return found[1] + found[2]


def publish(soaked: Soaked, client: str, folder: Path) -> None:
    """Put the section at the end of the page in place of an earlier one, and write every sample as JSON."""
    page = folder / "benchmarks.md"
    above = page.read_text(encoding="utf-8").partition(f"\n{_TITLE}\n")[0] if page.exists() else ""
    page.write_text(
        f"{above}\n{section(soaked, client)}" if above else section(soaked, client), encoding="utf-8"
    )
    value = {
        "made": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "machine": machine(),
        "versions": versions(),
        "client": client,
        "mix": MIX,
        "warm": soaked.warm.requests,
        **asdict(soaked),
    }
    (folder / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")

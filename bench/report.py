# SPDX-License-Identifier: Apache-2.0
"""The tables of a run: to the console always, to docs/ when the machine was quiet enough."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from apps.core import clock
from bench import soak_report
from bench.conditions import machine, versions
from bench.figures import Series, ratio
from bench.rows import Row

# What was tried for bars that are missed, with the profiles: written by people.
_ATTEMPTS = Path(__file__).with_name("attempts.md")
# Bars of the design: row, shape, concurrency, what, microseconds of CPU.
BARS = (
    ("Lean", "json", 16, "CPU per request", 300.0),
    ("Full", "json", 16, "CPU per request", 500.0),
    ("Lean", "sse", 16, "CPU per event", 120.0),
)


@dataclass(slots=True)
class Report:
    """Everything one run found, and under which conditions."""

    rows: list[Row]
    series: list[Series]
    upstream: str
    client: str
    load_before: float
    start: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    made: str = field(default_factory=lambda: clock.now().strftime("%Y-%m-%d %H:%M UTC"))

    def find(self, row: str, shape: str, concurrency: int) -> Series | None:
        """The series of a row, if it was measured."""
        for one in self.series:
            if (one.row, one.shape, one.concurrency) == (row, shape, concurrency) and one.slots:
                return one
        return None

    def groups(self) -> list[tuple[str, int]]:
        """The loads that were measured, in order."""
        return list(dict.fromkeys((one.shape, one.concurrency) for one in self.series))


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`; do not edit. How to read it is said below the tables.",
        "",
    ]
    lines += [f"- Date: {report.made}", f"- Machine: {machine()}", f"- Upstream: {report.upstream}"]
    lines += [f"- Upstream client of our rows, unless their name says another: {report.client}"]
    lines += [f"- Load average before the run: {report.load_before:.2f} on {os.cpu_count()} cores"]
    lines += [f"- Versions: {', '.join(f'{name} {number}' for name, number in versions().items())}", ""]
    lines += ["| row | what it is |", "|---|---|"]
    lines += [f"| {row.name} | {row.what}{' ' + row.version if row.version else ''} |" for row in report.rows]
    for shape, concurrency in report.groups():
        lines += ["", *_table(report, shape, concurrency)]
    lines += ["", *_bars(report)]
    if report.start:
        lines += ["", "## Start and memory", "", "| what | figure |", "|---|---|"]
        lines += [f"| {name} | {value:.1f} |" for name, value in report.start.items()]
    if report.notes:
        lines += ["", "## Left out", "", *(f"- {note}" for note in report.notes)]
    return "\n".join([*lines, "", *_HOW, ""])


_HOW = [
    "## How to read it",
    "",
    "CPU is the on-CPU time of the row's whole process tree, from the kernel, divided by the requests (or events)",
    "completed in the slot. Rows take turns in short slots of the same run, so compare rows, not runs: ratios are",
    "between medians of one run. Every answer is checked; one wrong answer ends a run without figures. Wall times",
    "include the load generator and the upstream, which share the machine's cores with the row.",
]


def _table(report: Report, shape: str, concurrency: int) -> list[str]:
    """One load: figures and ratios."""
    some = [
        one for one in report.series if (one.shape, one.concurrency) == (shape, concurrency) and one.slots
    ]
    bases = [one for name in ("nginx", "pass-through") if (one := report.find(name, shape, concurrency))]
    stores = list(dict.fromkeys(name for row in report.rows for name in row.stores))
    unit = "event" if shape == "sse" else "request"
    titles = ["row", f"CPU us/{unit} min", "median", "max", *(f"x {base.row}" for base in bases)]
    titles += [f"{name} us/request" for name in stores]
    titles += [
        "requests/s",
        "p50 ms",
        "p99 ms",
        *(["TTFT ms", "gap p50", "gap p99"] if shape == "sse" else []),
    ]
    lines = [f"## {shape.upper()}, {concurrency} at once", "", "| " + " | ".join(titles) + " |"]
    lines.append("|---" * len(titles) + "|")
    lines += ["| " + " | ".join(_cells(report, one, bases, stores)) + " |" for one in some]
    return lines


def _cells(report: Report, one: Series, bases: Sequence[Series], stores: Sequence[str]) -> list[str]:
    cells = [one.row]
    counted = one.cpu.most > 0
    cells += [f"{value:.0f}" if counted else "" for value in (one.cpu.least, one.cpu.middle, one.cpu.most)]
    cells += [f"{ratio(one, base):.1f}" if counted and base.cpu.middle else "" for base in bases]
    known = next((row.stores for row in report.rows if row.name == one.row), {})
    cells += [f"{one.store_median(name):.0f}" if name in known else "" for name in stores]
    rates = [slot.requests / slot.seconds for slot in one.slots]
    cells += [
        f"{_middle(rates):.0f}",
        f"{_middle(one.values('p50_ms')):.2f}",
        f"{_middle(one.values('p99_ms')):.1f}",
    ]
    if one.shape == "sse":
        cells += [f"{_middle(one.values(name)):.1f}" for name in ("ttft_ms", "gap_p50_ms", "gap_p99_ms")]
    return cells


def _bars(report: Report) -> list[str]:
    """The bars of the design against what was measured."""
    lines = ["## Bars", "", "| what | bar | measured | |", "|---|---|---|---|"]
    for row, shape, concurrency, what, bar in BARS:
        one = report.find(row, shape, concurrency)
        if one is not None:
            held = "held" if one.cpu.middle <= bar else "missed"
            lines.append(
                f"| {row}, {shape}, c={concurrency}, {what} | {bar:.0f} us | {one.cpu.middle:.0f} us | {held} |"
            )
    lean, proxy = report.find("Lean", "json", 16), report.find("nginx", "json", 16)
    if lean is not None and proxy is not None:
        times = ratio(lean, proxy)
        lines.append(
            f"| Lean against nginx | 15x its CPU | {times:.1f}x | {'held' if times <= 15 else 'missed'} |"
        )
    return lines


def data(report: Report) -> bytes:
    """The report as JSON, every slot in it."""
    value: dict[str, Any] = {
        "made": report.made,
        "machine": machine(),
        "versions": versions(),
        "upstream": report.upstream,
        "client": report.client,
        "load_before": report.load_before,
        "start": report.start,
        "notes": report.notes,
        "series": [asdict(one) for one in report.series],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def publish(report: Report, folder: Path) -> None:
    """Write both files: figures, then what was tried where a bar is missed, then the last soak as it is."""
    page = folder / "benchmarks.md"
    soaked = soak_report.kept(page)
    page.write_text(f"{markdown(report)}\n{_ATTEMPTS.read_text(encoding='utf-8')}{soaked}", encoding="utf-8")
    (folder / "benchmarks.json").write_bytes(data(report) + b"\n")


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]

# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: start everything, measure in rounds, print ratios, publish if the machine was quiet."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import figures, gateway, measure, processes, report, rows, soak, traffic
from bench.ground import Ground, GroundError, ground, ports
from smartflow_site.env import ROOT

# Above this share of the cores somebody else's work is in the figures.
MOST_LOAD_PER_CORE = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Carry a run out; 0, or 1 with a sentence on stderr."""
    options = _parser().parse_args(argv)
    load_before = processes.load_average()
    try:
        with ground() as base:
            return _soak(base, options) if options.soak else _compare(base, options, load_before)
    except (GroundError, measure.WrongAnswersError) as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 1


def _compare(base: Ground, options: argparse.Namespace, load_before: float) -> int:
    began = time.perf_counter()
    upstreams = rows.start_upstreams(base, options.upstream)
    made, notes = _rows(base, options, upstreams)
    found = report.Report(made, [], upstreams.json_kind, load_before, 0.0, notes=notes)
    plan = measure.Plan(options.rounds, options.seconds)
    for shape in options.shapes:
        for concurrency in options.conc:
            found.series += measure.rounds(made, traffic.SHAPES[shape], concurrency, plan, _say)
    if "Lean" in {row.name for row in made}:
        found.start = gateway.start_and_memory(base, made)
    found.seconds = time.perf_counter() - began
    print(report.markdown(found))
    return _publish(found, options.publish) if options.publish else 0


def _rows(
    base: Ground, options: argparse.Namespace, upstreams: rows.Upstreams
) -> tuple[list[rows.Row], list[str]]:
    """All rows asked for, and why some are missing."""
    notes: list[str] = []
    found = [rows.direct(upstreams)]
    for peer in rows.PEERS:
        try:
            found.append(peer.start(base, ports(1)[0], upstreams))
        except GroundError as fault:
            notes.append(f"{peer.name} ({peer.version}): {fault}")
    found.append(rows.pass_through(base, upstreams, options.client))
    ours = gateway.start(base, upstreams, options.client)
    found += [row for row in ours if options.stages or not row.stage]
    wanted = set(options.rows)
    return [row for row in found if not wanted or row.name in wanted], notes


def _publish(found: report.Report, folder: Path) -> int:
    """Write docs/ unless the machine was busy or the rounds disagree."""
    reasons = [f"scatter of {line}" for line in figures.too_scattered(found.series)]
    most = MOST_LOAD_PER_CORE * (os.cpu_count() or 1)
    if found.load_before > most:
        reasons.append(f"load average {found.load_before:.2f} before the run, at most {most:.1f} is accepted")
    if reasons:
        print("bench: not published: " + "; ".join(reasons), file=sys.stderr)
        return 1
    report.publish(found, folder)
    print(f"bench: published in {folder}")
    return 0


def _soak(base: Ground, options: argparse.Namespace) -> int:
    upstreams = rows.start_upstreams(base, options.upstream)
    row = next(row for row in gateway.start(base, upstreams, options.client) if row.name == "Lean")
    samples = soak.soak(row, options.soak, _say)
    grown = soak.growth(samples)
    print(f"memory: {samples[0][1]:.1f} MB at first, {samples[-1][1]:.1f} MB at last, growth {grown:+.1%}")
    return 0 if grown <= soak.MOST_GROWTH else 1


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _shapes(text: str) -> list[str]:
    unknown = set(text.split(",")) - set(traffic.SHAPES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such shape: {', '.join(sorted(unknown))}")
    return text.split(",")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--shapes", type=_shapes, default=["json", "sse"], help="json, sse")
    parser.add_argument("--conc", type=_numbers, default=[1, 16, 64], help="requests at once: 1,16,64")
    parser.add_argument("--rounds", type=int, default=4, help="slots per row")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a slot")
    parser.add_argument("--rows", nargs="*", default=[], help="only these rows")
    parser.add_argument("--stages", action="store_true", help="also the rows that leave one stage out each")
    parser.add_argument("--upstream", choices=("auto", "nginx", "own"), default="auto")
    parser.add_argument("--client", default="aiohttp", help="upstream client of gateway and pass-through")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="N requests, memory after each part")
    parser.add_argument(
        "--publish",
        nargs="?",
        const=ROOT / "docs",
        type=Path,
        help="write benchmarks.md and .json (docs/) if load and scatter allow",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

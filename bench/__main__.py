# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: start everything, measure in rounds, print ratios, publish if the machine was quiet."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.core import http
from bench import (
    figures,
    gateway,
    measure,
    otherwise,
    processes,
    profiled,
    report,
    rows,
    soak,
    soak_report,
    traffic,
)
from bench.ground import Ground, GroundError, ground, ports
from smartflow_site.env import ROOT, load

DEFAULT_CLIENT = load({}).upstream_client
# Above this share of the cores somebody else's work is in the figures.
MOST_LOAD_PER_CORE = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Carry a run out; 0, or 1 with a sentence on stderr."""
    options = _parser().parse_args(argv)
    load_before = processes.load_average()
    try:
        with ground() as base:
            if options.profile:
                return _profile(base, options)
            return _soak(base, options) if options.soak else _compare(base, options, load_before)
    except (GroundError, measure.WrongAnswersError, otherwise.NotRefusedError) as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 1


def _compare(base: Ground, options: argparse.Namespace, load_before: float) -> int:
    upstreams = rows.start_upstreams(base, options.upstream)
    others, notes = _others(base, options, upstreams)
    site = gateway.build(base, upstreams)
    first, *more = options.clients
    ours = gateway.start(base, site, first, first=True)
    for client in more:
        ours += gateway.start(base, site, client, first=False)
    wanted = set(options.rows)
    made = [
        row for row in (*others, *ours) if (row.name in wanted if wanted else options.stages or not row.stage)
    ]
    found = report.Report(made, [], upstreams.json_kind, first, load_before, notes=notes)
    plan = measure.Plan(options.rounds, options.seconds)
    for shape in options.shapes:
        for concurrency in options.conc:
            found.series += measure.rounds(made, traffic.SHAPES[shape], concurrency, plan, _say)
    found.start = gateway.start_and_memory(base, site, first, ours)
    print(report.markdown(found))
    return _publish(found, options.publish) if options.publish else 0


def _others(
    base: Ground, options: argparse.Namespace, upstreams: rows.Upstreams
) -> tuple[list[rows.Row], list[str]]:
    """The rows that are not ours, and why some are missing."""
    notes: list[str] = []
    found = [rows.direct(upstreams)]
    for peer in rows.PEERS:
        try:
            found.append(peer.start(base, ports(1)[0], upstreams))
        except GroundError as fault:
            notes.append(f"{peer.name} ({peer.version}): {fault}")
    found += [
        rows.pass_through(base, upstreams, client, first=client == options.clients[0])
        for client in options.clients
    ]
    return found, notes


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
    site = gateway.build(base, upstreams)
    row = gateway.start(base, site, options.clients[0], first=True)[0]
    found = soak.soak(row, options.soak, _say)
    print(soak_report.section(found, options.clients[0]))
    if options.publish:
        soak_report.publish(found, options.clients[0], options.publish)
        print(f"bench: published in {options.publish}")
    return 0 if found.flat else 1


def _profile(base: Ground, options: argparse.Namespace) -> int:
    """The functions in which a gateway spends its time under each shape; a profiler distorts, so no bars here."""
    upstreams = rows.start_upstreams(base, options.upstream)
    site = gateway.build(base, upstreams)
    for shape in options.shapes:
        print(f"## {shape}\n\n{profiled.profile(base, site, options.clients[0], traffic.SHAPES[shape])}")
    return 0


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _shapes(text: str) -> list[str]:
    unknown = set(text.split(",")) - set(traffic.SHAPES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such shape: {', '.join(sorted(unknown))}")
    return text.split(",")


def _clients(text: str) -> list[str]:
    unknown = set(text.split(",")) - set(http.NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such client: {', '.join(sorted(unknown))}")
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
    parser.add_argument(
        "--clients",
        type=_clients,
        default=[DEFAULT_CLIENT],
        help="upstream clients of gateway and pass-through; Lean and pass-through are measured with each",
    )
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="N requests, memory after each part")
    parser.add_argument("--profile", action="store_true", help="where Lean spends its time, by function")
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

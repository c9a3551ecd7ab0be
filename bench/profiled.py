# SPDX-License-Identifier: Apache-2.0
"""A gateway under Python's own profiler: `python -m bench.profiled FILE serve --role gateway ...`."""

import cProfile
import io
import pstats
import signal
import sys
from pathlib import Path

from bench.gateway import Site, start_wrapped
from bench.ground import Ground
from bench.measure import slot
from bench.traffic import Shape
from smartflow_site import cli
from smartflow_site.env import ROOT

_LINES = 40


def profile(ground: Ground, site: Site, client: str, shape: Shape) -> str:
    """The functions with the most time of their own while Lean was under load, and calls per request."""
    file = ground.folder / f"{shape.name}.pstats"
    wrapper = [sys.executable, "-m", "bench.profiled", str(file)]
    row, process = start_wrapped(ground, site, client, wrapper)
    one = slot(row, shape, 16, seconds=5.0)
    ground.end(process)
    out = io.StringIO()
    stats = pstats.Stats(str(file), stream=out)
    stats.sort_stats("tottime").print_stats(_LINES)
    text = out.getvalue().replace(f"{ROOT}/", "").replace(f"{sys.prefix}/", "")
    return f"{one.requests} requests\n\n```\n{text.strip()}\n```\n"


def main(argv: list[str]) -> int:
    """Run a command of manage.py under the profiler and leave its figures in a file."""
    # uvicorn raises the signal again once it has stopped; the figures must be written first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    profiler = cProfile.Profile()
    try:
        return int(profiler.runcall(cli.main, argv[1:]))
    finally:
        profiler.dump_stats(Path(argv[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

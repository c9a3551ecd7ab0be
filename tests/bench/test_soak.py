# SPDX-License-Identifier: Apache-2.0
"""Many requests leave a gateway as it was; and what the soak calls flat is what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import soak_report
from bench.soak import Sample, Soaked
from smartflow_site.env import ROOT

KINDS = {"json": 80, "streams": 10, "refused": 6, "left": 4}


def soaked(*sizes: float, files: int = 40) -> Soaked:
    """A soak of 100,000 requests with these megabytes after each equal part."""
    step = 100_000 // (len(sizes) - 1)
    samples = [Sample(number * step, size, 40) for number, size in enumerate(sizes)]
    return Soaked(KINDS, [*samples[:-1], Sample(100_000, sizes[-1], files)])


def test_memory_is_compared_with_that_of_a_warm_process() -> None:
    assert soaked(50, 70, 70.5, 70, 71, 70.5).flat
    assert soaked(50, 70, 70.5, 70, 71, 70.5).warm.requests == 20_000


@pytest.mark.parametrize("each", [64, 100, 1000])
def test_a_small_leak_is_seen(each: int) -> None:
    grown = [70 + each * 20_000 * number / 1024 / 1024 for number in range(6)]
    found = soaked(*grown)
    assert not found.flat
    assert round(found.bytes_per_request) == each


def test_descriptors_that_stay_open_are_seen() -> None:
    assert not soaked(50, 70, 70, 70, 70, 70, files=60).flat


def test_the_section_of_a_soak_replaces_the_earlier_one_and_outlives_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\n## JSON\n\ntable\n", encoding="utf-8")
    soak_report.publish(soaked(50, 70, 70, 70, 70, 90), "h1", tmp_path)
    soak_report.publish(soaked(50, 70, 70, 70, 70, 70), "h1", tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Benchmarks\n\n## JSON\n\ntable\n\n## Soak\n")
    assert text.count("## Soak") == 1
    assert "That is flat" in text
    assert soak_report.kept(page) == text.partition("table\n")[2]
    assert '"requests": 100000' in (tmp_path / "soak.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(540)
def test_20_000_requests_of_every_kind_leave_memory_and_descriptors_flat(tmp_path: Path) -> None:
    # Stores of its own: nothing of this run's settings may reach it.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "bench", "--soak", "20000", "--upstream", "own", "--publish", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert found["counts"] == {"json": 16_000, "streams": 2000, "refused": 1200, "left": 800}
    assert found["warm"] == 8000

# SPDX-License-Identifier: Apache-2.0
"""CI runs what the README tells people to run, and lets no skip through that nobody gave a reason for."""

import re
import subprocess
import sys
from pathlib import Path

from smartflow_site.env import ROOT

SKIPS = ROOT / ".ci" / "skips.py"
REPORT = """<testsuites><testsuite><testcase classname="t" name="a"/>
<testcase classname="t" name="b"><skipped message="needs nginx">b.py:3: needs nginx</skipped></testcase>
</testsuite></testsuites>"""


def run_skips(folder: Path, allowed: str, report: str = REPORT) -> subprocess.CompletedProcess[str]:
    (folder / "allowed").write_text(allowed)
    (folder / "report.xml").write_text(report)
    argv = [sys.executable, str(SKIPS), str(folder / "allowed"), str(folder / "report.xml")]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_skip_nobody_listed_fails_the_run(tmp_path: Path) -> None:
    done = run_skips(tmp_path, "needs redis | there is none\n")

    assert done.returncode == 1
    assert "NOT ALLOWED: t.b: needs nginx" in done.stdout


def test_a_listed_skip_passes_and_is_shown(tmp_path: Path) -> None:
    done = run_skips(tmp_path, "# a comment\nneeds nginx | no package on this platform\n")

    assert (done.returncode, done.stdout.strip()) == (0, "allowed: t.b: needs nginx")


def test_a_skip_without_a_reason_is_refused(tmp_path: Path) -> None:
    assert run_skips(tmp_path, "needs nginx\n").returncode == 1


def test_a_report_without_tests_fails_the_run(tmp_path: Path) -> None:
    done = run_skips(tmp_path, "", "<testsuites><testsuite/></testsuites>")

    assert done.returncode == 1


def test_ci_calls_the_commands_of_the_readme() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    targets = set(re.findall(r"^gate \S+ \d+ make (\S+)", text, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert {
        "test",
        "test-slow",
        "test-fault",
        "lint",
        "types",
        "contracts",
        "vendor",
        "e2e",
        "bench",
    } == targets
    assert "make test" in readme
    assert sum(int(found) for found in re.findall(r"^gate \S+ (\d+) ", text, re.MULTILINE)) <= 60

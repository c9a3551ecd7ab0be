# SPDX-License-Identifier: Apache-2.0
"""Fail when a test was skipped for a reason that is not listed: `skips.py ALLOWED REPORT.xml...`."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def allowed(path: Path) -> list[re.Pattern[str]]:
    """The patterns of the list; each line is `pattern | why this skip is right`."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, separator, why = line.rpartition(" | ")
        if not separator or not why.strip():
            raise SystemExit(f"{path} line {number}: a skip needs ` | ` and a reason")
        found.append(re.compile(pattern.strip()))
    return found


def skipped(report: Path) -> list[tuple[str, str]]:
    """(test, reason) of every skipped or expected-to-fail test of a JUnit report."""
    found = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own report
        for skip in case.iter("skipped"):
            name = f"{case.get('classname')}.{case.get('name')}"
            found.append((name, (skip.get("message") or skip.text or "").strip()))
    return found


def main(argv: list[str]) -> int:
    """Print every skip; 1 when one is not allowed or a report is empty."""
    patterns = allowed(Path(argv[0]))
    bad = 0
    for report in map(Path, argv[1:]):
        if not any(True for _ in ET.parse(report).iter("testcase")):  # noqa: S314 - our own report
            print(f"{report} has no test in it")
            bad += 1
        for name, reason in skipped(report):
            fine = any(pattern.search(reason) for pattern in patterns)
            print(f"{'allowed' if fine else 'NOT ALLOWED'}: {name}: {reason.splitlines()[0]}")
            bad += not fine
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""What Smartflow runs on has licences that Apache-2.0 can live with; the lists name no place to get it from."""

import importlib.metadata
import re

import pytest

from smartflow_site.env import ROOT

RUN = ("base", "embedded", "model")
TESTS = ("dev", "e2e")
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==\S+(?: *;.*?)? *\\?$")
# As the packages write them, lower case.
FREE = {
    "0bsd", "apache 2.0", "apache license, version 2.0", "apache software license", "apache-2.0", "bsd",
    "bsd 3-clause", "bsd license", "bsd-2-clause", "bsd-3-clause", "3-clause bsd license", "cc0-1.0", "isc", "mit",
    "mit license", "mit-0", "new bsd", "psf-2.0", "python software foundation license", "tcl", "zlib", "zpl-2.1",
    "dual license",
}  # fmt: skip
# Copyleft of the library kind: used unchanged and installed beside us, never copied in.
LIBRARY = {
    "certifi": "MPL-2.0", "tqdm": "MPL-2.0", "python-stdnum": "LGPL", "psycopg": "LGPL", "psycopg-binary": "LGPL",
    "psycopg-pool": "LGPL",
}  # fmt: skip
STRONG = re.compile(r"(?<![a-z])(agpl|gpl)|affero|(?<!lesser )general public", re.IGNORECASE)


def pinned(group: str) -> list[str]:
    lines = (ROOT / "requirements" / f"{group}.txt").read_text(encoding="utf-8").splitlines()
    return [found[1].lower() for line in lines if (found := _PIN.match(line))]


def installed(groups: tuple[str, ...]) -> list[str]:
    """Pinned distributions that this platform has; markers leave some out."""
    names = sorted({name for group in groups for name in pinned(group)})
    there = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower() for d in importlib.metadata.distributions()}
    return [name for name in names if name in there]


def licences(name: str) -> set[str]:
    """Every word a distribution has for its licence."""
    about = importlib.metadata.metadata(name)
    said = (about.get("License-Expression") or "").strip()
    if said:
        return {part.strip("() ").lower() for part in re.split(r" (?:AND|OR|WITH) ", said)}
    classified = {
        line.rpartition("::")[2].strip().lower()
        for line in about.get_all("Classifier", [])
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    }
    short = (about.get("License") or "").strip()
    if classified:
        return classified
    return {part.strip("() ").lower() for part in re.split(r" (?:AND|OR) ", short.partition("\n")[0]) if part}


def test_enough_is_looked_at() -> None:
    assert len(installed(RUN)) > 60


@pytest.mark.parametrize("name", installed(RUN))
def test_what_runs_is_free_for_everybody(name: str) -> None:
    if name in LIBRARY:
        words = " ".join(licences(name))
        assert "gpl" in words or "lesser" in words or "mpl" in words or "mozilla" in words
        return
    assert licences(name), f"{name} does not say its licence"
    assert licences(name) <= FREE


@pytest.mark.parametrize("name", LIBRARY)
def test_every_exception_is_still_needed(name: str) -> None:
    assert name in installed(RUN)


@pytest.mark.parametrize("name", [name for name in installed(TESTS) if name not in installed(RUN)])
def test_no_test_tool_brings_strong_copyleft_into_our_process(name: str) -> None:
    assert not STRONG.search(" ".join(licences(name)))


@pytest.mark.parametrize("group", [*RUN, *TESTS, "bootstrap"])
def test_requirement_files_name_no_address_and_pin_hashes(group: str) -> None:
    text = (ROOT / "requirements" / f"{group}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--extra-index|--find-links|file:", text)
    assert text.count("--hash=sha256:") >= len(pinned(group)) > 0

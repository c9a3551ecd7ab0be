# SPDX-License-Identifier: Apache-2.0
"""The compatibility page, from the results of a run; nobody writes it by hand."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.matrix.cells import CLIENTS, IMPOSSIBLE, PROVIDERS, UNSAYABLE
from tests.matrix.faults import BEFORE, WITHIN
from tests.matrix.features import ROWS
from tests.upstreams.rules import FOLDER

FEATURES = (*ROWS, *BEFORE, *WITHIN)
# Programs whose requests were recorded: the file, and the client that they are built on.
RECORDED = {
    "Claude Code's requests": ("claude_code", "anthropic"),
    "Agents SDK's requests": ("openai_agents", "openai"),
}
# (feature, client, provider) to what each form came to.
Results = dict[tuple[str, str, str], dict[str, bool]]

_HEAD = """# Compatibility

Written by `make matrix` from the results of its run: official clients on real sockets, this gateway, and stand-ins
that follow the providers' published schemas strictly (no extra fields, the providers' own rules).

- **yes**: as JSON and as a stream, the client sees what it must see.
- **400 `field`**: the provider cannot do this; the client gets a 400 in its own form that names its own field.
- **n/a**: the client's own dialect has no word for it.
- **no**: it does not work; what stands behind it says where.
"""


@dataclass
class Collector:
    """A plugin that gathers the outcome of every cell, and writes the page at the end."""

    path: Path
    results: Results = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One cell has run; a failure of its set-up counts as one of its own."""
        cell = dict(report.user_properties).get("cell")
        if cell is None or (report.when != "call" and report.passed):
            return
        feature, client, provider, form = str(cell).split("|")
        found = self.results.setdefault((feature, client, provider), {})
        found[form] = found.get(form, True) and report.passed

    def pytest_sessionfinish(self) -> None:
        """Write the page, unless nothing ran."""
        if self.results:
            self.path.write_text(rendered(self.results), encoding="utf-8")


def rendered(results: Results) -> str:
    """The page."""
    lines = [_HEAD]
    for name, client in CLIENTS.items():
        lines += [f"## `{name}` {client.version}", ""]
        lines.append("| | " + " | ".join(f"in front of {provider}" for provider in PROVIDERS) + " |")
        lines.append("|---" * (len(PROVIDERS) + 1) + "|")
        programs = [program for program, (_, under) in RECORDED.items() if under == name]
        for feature in (*FEATURES, *programs):
            row = [_word(results, feature, name, provider) for provider in PROVIDERS]
            lines.append(f"| {feature} | " + " | ".join(row) + " |")
        lines.append("")
    return "\n".join([*lines, *_reasons(), *_sources()]) + "\n"


def _word(results: Results, feature: str, client: str, provider: str) -> str:
    if (feature, client) in UNSAYABLE:
        return "n/a"
    forms = results.get((feature, client, provider))
    if not forms:
        return "not run"
    wrong = [form for form, passed in sorted(forms.items()) if not passed]
    if wrong:
        return "no" if len(wrong) == len(forms) else f"no ({wrong[0]})"
    impossible = IMPOSSIBLE.get((feature, client, provider))
    return f"400 `{impossible.param}`" if impossible else "yes"


def _reasons() -> list[str]:
    lines = ["## Why not", ""]
    lines += [
        f"- {feature}, `{client}` in front of {provider}: {found.why}."
        for (feature, client, provider), found in IMPOSSIBLE.items()
    ]
    lines += [f"- {feature}, `{client}`: {why}." for (feature, client), why in UNSAYABLE.items()]
    return [*lines, ""]


def _sources() -> list[str]:
    lines = ["## Schemas and recordings", ""]
    for path in sorted(FOLDER.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))["about"]
        lines.append(f"- {path.stem}: `{about['package']}` {about['version']}, {about['source']}")
    for program, (file, _) in RECORDED.items():
        found = json.loads((FOLDER.parent / "recorded" / f"{file}.json").read_text(encoding="utf-8"))
        lines.append(f"- {program}: `{found['package']}` {found['version']}")
    return lines

# SPDX-License-Identifier: Apache-2.0
"""The figures of several processes as one text: the living are read, the dead are folded into totals."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from apps.analytics.catalogue import CATALOGUE, PREFIX, Figure

SUFFIX = ".figures"
# Series -> its numbers; the first letter of a series is its kind: c, g or h.
Series = dict[str, list[float]]


def text(folder: Path, role: str, extra: Mapping[str, float] | None = None) -> str:
    """Prometheus text of a role's processes; `extra` are gauges of whoever asks."""
    try:
        totals, living = _collect(folder, role)
    except OSError:
        totals, living = {}, []
    sums = {key: list(numbers) for key, numbers in totals.items()}
    for series in living:
        for key, numbers in series.items():
            _add(sums, key, numbers)
    for name, value in {"processes": float(len(living)), **(extra or {})}.items():
        sums[f"g{PREFIX}{name}"] = [value]
    return _written(sums)


def rendered(labels: Mapping[str, str]) -> str:
    """Labels as the text format has them, values escaped."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _collect(folder: Path, role: str) -> tuple[Series, list[Series]]:
    """Totals of the dead, and the series of each living process; one process folds at a time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / f".{role}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        totals, folded = _read_totals(folder / f"{role}.totals.json")
        living: list[Series] = []
        dead: list[Path] = []
        for path in sorted(folder.glob(f"{role}-*{SUFFIX}")):
            if path.name in folded:
                path.unlink(missing_ok=True)
            elif _is_dead(path):
                dead.append(path)
            else:
                living.append(dict(_read(path)))
        if dead or folded:
            for path in dead:
                for key, numbers in _read(path):
                    if not key.startswith("g"):
                        _add(totals, key, numbers)
            # Written with the names of what it includes, so that a crash before they are removed counts nothing twice.
            _write_totals(folder / f"{role}.totals.json", totals, [path.name for path in dead])
            for path in dead:
                path.unlink(missing_ok=True)
        return totals, living
    finally:
        os.close(lock)


def _is_dead(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _read(path: Path) -> Iterator[tuple[str, list[float]]]:
    """The series of one file, as far as it was written."""
    with contextlib.suppress(FileNotFoundError):
        raw = path.read_bytes()
        cells = memoryview(raw)[: len(raw) // 8 * 8].cast("d")
        used = min(int.from_bytes(raw[:8], "little"), len(cells))
        place = 1
        while place < used:
            head = raw[place * 8 : place * 8 + 8]
            length, count = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
            first = place + 1 + -(-length // 8)
            if not length or first + count > used:
                return
            key = raw[(place + 1) * 8 : (place + 1) * 8 + length].decode("utf-8", "replace")
            yield key, [float(number) for number in cells[first : first + count]]
            place = first + count


def _add(into: Series, key: str, numbers: list[float]) -> None:
    known = into.get(key)
    if known is None or len(known) != len(numbers):
        into[key] = list(numbers)
        return
    figure = CATALOGUE.get(key[1 + len(PREFIX) :].partition("{")[0])
    merge = figure.merge if figure is not None and key.startswith("g") else "sum"
    for index, number in enumerate(numbers):
        known[index] = {"sum": known[index] + number, "max": max(known[index], number)}.get(
            merge, min(known[index], number)
        )


def _written(series: Series) -> str:
    by_name: dict[str, list[tuple[str, list[float]]]] = {}
    for key, numbers in sorted(series.items()):
        name, brace, labels = key[1:].partition("{")
        by_name.setdefault(name, []).append((brace + labels, numbers))
    lines: list[str] = []
    for short, figure in CATALOGUE.items():
        name = PREFIX + short
        if name in by_name:
            lines += [f"# HELP {name} {figure.help}", f"# TYPE {name} {figure.kind}"]
            for labels, numbers in by_name[name]:
                lines += _sample(name, labels, numbers, figure)
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: str, numbers: list[float], figure: Figure) -> list[str]:
    if figure.kind != "histogram":
        return [f"{name}{labels} {_number(numbers[0])}"]
    inner = labels[1:-1] + "," if labels else ""
    lines, total = [], 0.0
    for bound, number in zip((*map(repr, figure.bounds), "+Inf"), numbers, strict=False):
        total += number
        lines.append(f'{name}_bucket{{{inner}le="{bound}"}} {_number(total)}')
    lines.append(f"{name}_sum{labels} {_number(numbers[-1])}")
    lines.append(f"{name}_count{labels} {_number(total)}")
    return lines


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _read_totals(path: Path) -> tuple[Series, set[str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): list(map(float, row)) for key, row in found["series"].items()}, set(found["folded"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}, set()


def _write_totals(path: Path, totals: Series, folded: list[str]) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps({"v": 1, "folded": folded, "series": totals}), encoding="utf-8")
    temporary.rename(path)
